import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Duty } from '../../kernel/duty.js';
import { judgeLoop } from '../../kernel/health.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { Logger } from '../../kernel/log.js';
import type { LoopHealth } from '../../kernel/loop.js';
import type { World } from '../../pipeline/contract.js';
import type { NotificationBody } from '../contract.js';
import { CONFIRM_WITHIN_MS } from './confirmation.js';
import type { Rounds } from './rounds.js';
import { ROUTINE, type WorldChannels } from './world-channels.js';

const PAUSE_MS = 10_000;
const BEAT_EVERY_MS = 60_000;
/** Whoever is ill leaves the beat to others that are well, and speaks only when nobody has for so long. */
const ILL_AFTER_MS = 150_000;
/** Shorter outages of every channel at once are retried, and hurt nobody. */
const MUTE_MS = 5 * 60_000;
const TEST_EVERY_MS = 86_400_000;
const TEST_PAUSE_MS = 60_000;
const DEADLINE_MS = 8_000;
const BODY_CHARS_MAX = 500;

export const TEST_NAME = 'pager-test';

/** In one key a resolve follows its trigger, so both may be written at once. */
const WRITE_TEST = `
insert into alerting.notification (dedupe_key, world, channel, recipient, action, reason, severity, summary, body, state,
                                   created_at, try_at, confirm_by)
select $1, $2, 'pagerduty', $3, action, 'heartbeat', 4, $4, $5, 'waiting', $6::timestamptz, $6,
       case when action = 'trigger' then $7::timestamptz end
  from unnest(array['trigger', 'resolve']) with ordinality as step(action, place) order by place`;

export interface Beat {
  world: World;
  state: 'well' | 'ill';
  isHeard: boolean;
}

/**
 * Makes our own silence heard. Every minute somebody outside hears that we are well, and raises the alarm when it does not;
 * once a day the whole way to the pager is walked.
 *
 * Invariant: no beat without proof. It goes out only while the loops that turn signals into alerts and tell of them have
 * had good rounds, and while somebody can be told; that this process runs proves nothing.
 */
export class Beats {
  constructor(
    private readonly deps: {
      database: Database;
      rounds: Rounds;
      /** Since when nobody at all can be told of a page in a world; `null` = somebody can. */
      muteSince: (world: World) => Promise<Date | null>;
      channels: () => readonly WorldChannels[];
      /** The loops whose silence is ours. */
      loops: () => readonly LoopHealth[];
      http: Pick<HttpOut, 'request'>;
      beaten: (beat: Beat) => void;
      clock: Clock;
      log: Logger;
    },
  ) {}

  duties(): Duty[] {
    return [
      {
        name: 'heartbeat',
        pauseMs: PAUSE_MS,
        staleAfterMs: 2 * BEAT_EVERY_MS,
        round: async (signal) => {
          await Promise.all(this.deps.channels().map((channels) => this.beat(channels, signal)));
          return 'idle';
        },
      },
      {
        name: 'pager-test',
        pauseMs: TEST_PAUSE_MS,
        round: async () => {
          for (const channels of this.deps.channels()) await this.test(channels);
          return 'idle';
        },
      },
    ];
  }

  private async beat({ world, heartbeatUrl }: WorldChannels, signal: AbortSignal): Promise<void> {
    const { rounds, http, beaten, clock, log } = this.deps;
    if (heartbeatUrl === null) return;
    const judged = this.deps.loops().map(judgeLoop);
    const ill = judged.filter(({ state }) => state === 'dead' || state === 'failing');
    const muteSince = await this.deps.muteSince(world);
    const isMute = muteSince !== null && clock.nowMs() - muteSince.getTime() >= MUTE_MS;
    const isWell = !isMute && judged.length > 0 && judged.every(({ state }) => state === 'ok');
    if (!isWell && !isMute && ill.length === 0) return; // starting: nothing is proved yet, and nothing is wrong
    // That nobody can be told is known to all processes alike: no other is well, and nobody is waited for.
    const everyMs = isWell || isMute ? BEAT_EVERY_MS : ILL_AFTER_MS;
    if (!(await rounds.take(`heartbeat:${world}`, everyMs))) return;
    const why = [
      ...(isMute ? [`nobody can be told since ${muteSince.toISOString()}: every channel fails`] : []),
      ...ill.map(({ name, detail }) => `${name}: ${detail ?? 'not well'}`),
    ].join('\n');
    const result = await http.request({
      method: 'POST',
      url: isWell ? heartbeatUrl : failUrl(heartbeatUrl),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: isWell ? '' : why.slice(0, BODY_CHARS_MAX),
      deadlineMs: DEADLINE_MS,
      signal,
    });
    const isHeard = result.kind === 'answer' && result.status >= 200 && result.status < 300;
    beaten({ world, state: isWell ? 'well' : 'ill', isHeard });
    if (isHeard) return;
    // The address is a secret: whoever knows it can speak for us.
    const detail = result.kind === 'answer' ? `HTTP ${result.status}` : result.kind;
    log.warn({ world, detail }, 'the heartbeat was not heard');
  }

  private async test({ world, pager }: WorldChannels): Promise<void> {
    const { rounds, database, clock, log } = this.deps;
    if (pager === null || !(await rounds.take(`pager-test:${world}`, TEST_EVERY_MS))) return;
    const nowAt = clock.now();
    const body: NotificationBody = {
      name: TEST_NAME,
      class: 'log',
      facts: { what: 'the daily test of the way to PagerDuty; it resolves itself' },
      evidence: '/api/v1/channels',
      runbook: 'notifier-failing',
      shop: null,
      destination: null,
      signals: 0,
      shops: 0,
      since: nowAt.toISOString(),
    };
    await database.query(WRITE_TEST, [
      `plumbline:pager:${TEST_NAME}`,
      world,
      ROUTINE,
      'Daily test of the way to PagerDuty: nothing is to be done',
      JSON.stringify(body),
      nowAt,
      new Date(nowAt.getTime() + CONFIRM_WITHIN_MS),
    ]);
    log.info({ world }, 'the way to PagerDuty is being tested');
  }
}

/** Source: healthchecks, "HTTP API": `<url>/fail` says that it went wrong. */
function failUrl(url: string): string {
  const failed = new URL(url);
  failed.pathname = `${failed.pathname.replace(/\/+$/, '')}/fail`;
  return failed.toString();
}

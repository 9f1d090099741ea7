import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Duty } from '../../kernel/duty.js';
import type { Finding, SignalDesk } from '../../monitoring/contract.js';
import type { World } from '../../pipeline/contract.js';
import type { NotificationView, NotifierReader, RecipientHealth } from '../contract.js';
import { TICKETS } from './second-channel.js';
import type { WorldChannels } from './world-channels.js';

const PAUSE_MS = 5_000;
const FAILING_MS = 60_000; // shorter outages are retried and hurt nobody
const DOUBT_MS = 86_400_000; // without a later page nothing more is known; then it is no news
const REFUSAL_LEAST_MS = 2 * 60_000;
const EVIDENCE = '/api/v1/channels';

/** Indexes: the key, notification_waiting, notification_unseen. */
const RECIPIENTS = `
select r.world, r.channel, r.recipient, r.failures, r.failing_since as "failingSince", r.taken_at as "takenAt",
       r.last_error as "lastError", coalesce(w.waiting, 0)::int as waiting, w.oldest as "oldestWaitingAt",
       d.since as "doubtSince", r.refused_at as "refusedAt"
  from alerting.recipient r
  left join (select world, channel, recipient, count(*) as waiting, min(created_at) filter (where try_at <= $1) as oldest
               from alerting.notification where state = 'waiting' group by 1, 2, 3) w
    on (w.world, w.channel, w.recipient) = (r.world, r.channel, r.recipient)
  left join (select world, recipient, min(unconfirmed_at) as since
               from alerting.notification where unconfirmed_at > $2 and channel = 'pagerduty' group by 1, 2) d
    on r.channel = 'pagerduty' and (d.world, d.recipient) = (r.world, r.recipient)
 order by r.world, r.channel, r.recipient`;

interface RecipientRow extends Record<string, unknown> {
  world: World;
  channel: NotificationView['channel'];
  recipient: string;
  failures: number;
  failingSince: Date | null;
  takenAt: Date | null;
  lastError: string | null;
  waiting: number;
  oldestWaitingAt: Date | null;
  doubtSince: Date | null;
  refusedAt: Date | null;
}

/** Watches the channels themselves: what does not tell is a signal, and its page goes by the other channel. */
export class ChannelWatch implements NotifierReader {
  constructor(
    private readonly deps: {
      database: Database;
      signals: Pick<SignalDesk, 'replace'>;
      channels: () => readonly WorldChannels[];
      /** Worlds whose webhooks PagerDuty has switched off. */
      webhooksOff: () => Promise<ReadonlyMap<World, Date>>;
      clock: Clock;
    },
  ) {}

  duty(): Duty {
    return {
      name: 'channel-watch',
      pauseMs: PAUSE_MS,
      round: async () => {
        await this.judge();
        return 'idle';
      },
    };
  }

  async judge(): Promise<void> {
    const rows = await this.recipients();
    const off = await this.deps.webhooksOff();
    const nowMs = this.deps.clock.nowMs();
    // Of the other worlds this process knows nothing: another may tell in them, and their findings are its own.
    for (const { world } of this.deps.channels()) {
      const since = off.get(world);
      const why = 'PagerDuty has switched our webhook subscription off for a day, after answers it did not take';
      await this.deps.signals.replace('notifier-failing', `${world}/`, [
        ...rows.filter((row) => row.world === world).flatMap((row) => findingOf(row, nowMs) ?? []),
        ...(since === undefined ? [] : [finding({ world, channel: 'pagerduty', recipient: 'webhooks' }, why, since)]),
      ]);
    }
  }

  async channels(): ReturnType<NotifierReader['channels']> {
    const rows = await this.recipients();
    const nowMs = this.deps.clock.nowMs();
    return this.deps.channels().map((channels) => ({
      world: channels.world,
      confirmation: confirmationOf(channels),
      recipients: rows.filter(({ world }) => world === channels.world).map((row) => healthOf(row, nowMs)),
    }));
  }

  /**
   * Since when a page of a world reaches nobody: its second channel fails, or there is none, and so does every route of the
   * pager that has been tried. `null` = somebody can be told, or nothing is known yet.
   */
  async muteSince(world: World): Promise<Date | null> {
    const rows = (await this.recipients()).filter((row) => row.world === world && row.recipient !== TICKETS);
    const ways = rows.filter(({ channel }) => channel !== 'alertmanager');
    const channels = this.deps.channels().find((each) => each.world === world);
    const tried = new Set(ways.map(({ channel }) => channel));
    const isEachTried =
      (channels?.pager == null || tried.has('pagerduty')) && (channels?.second == null || tried.has('second'));
    const since = ways.map(({ failingSince }) => failingSince);
    if (ways.length === 0 || !isEachTried || since.includes(null)) return null;
    return new Date(Math.max(...since.map((each) => each?.getTime() ?? 0)));
  }

  private recipients(): Promise<RecipientRow[]> {
    const nowAt = this.deps.clock.now();
    const channels = new Map(this.deps.channels().map((each) => [each.world, each]));
    if (channels.size === 0) return Promise.resolve([]);
    return this.deps.database
      .rows<RecipientRow>(RECIPIENTS, [nowAt, new Date(nowAt.getTime() - DOUBT_MS)])
      .then((rows) => rows.filter((row) => isUsed(row, channels.get(row.world))));
  }
}

/** Of what is configured no more nothing is expected, and nothing is doubted. */
function isUsed({ channel, recipient }: RecipientRow, channels: WorldChannels | undefined): boolean {
  if (channels === undefined) return false;
  const { pager, second } = channels;
  if (channel === 'pagerduty') return pager !== null;
  if (channel === 'second') return second !== null && [second.recipient, TICKETS].includes(recipient);
  return true;
}

function confirmationOf({ pager, webhookSecrets }: WorldChannels) {
  if (pager === null) return 'no pager';
  if (webhookSecrets.length > 0) return pager.canLook ? 'webhooks and look-ups' : 'webhooks';
  return pager.canLook ? 'look-ups' : 'taken';
}

function healthOf(row: RecipientRow, nowMs: number): RecipientHealth {
  const { world, channel, recipient, takenAt, failingSince, lastError, waiting, oldestWaitingAt } = row;
  const isFailing = row.failures > 0 || findingOf(row, nowMs) !== null;
  const state = isFailing ? 'failing' : takenAt === null ? 'unknown' : 'ok';
  return { world, channel, recipient, state, takenAt, failingSince, lastError, waiting, oldestWaitingAt };
}

/** What is wrong with a recipient, the gravest first; `null` = nothing that a person must know. */
function findingOf(row: RecipientRow, nowMs: number): Finding | null {
  const isLong = (since: Date | null): since is Date => since !== null && nowMs - since.getTime() >= FAILING_MS;
  // A page that could not be said is reason enough, however short it is.
  const isFelt = isLong(row.failingSince) || row.doubtSince !== null;
  if (row.failingSince !== null && isFelt) return finding(row, 'does not answer', row.failingSince);
  if (isRefusing(row, nowMs)) return finding(row, 'refuses what it is sent', row.refusedAt);
  if (row.doubtSince !== null) return finding(row, 'takes it, and nobody is seen to be paged', row.doubtSince);
  // Neither fails nor refuses, and yet somebody waits to be told: throttled, or nobody sends.
  if (row.channel === 'pagerduty' && isLong(row.oldestWaitingAt)) {
    return finding(row, 'is behind: what is to be said waits', row.oldestWaitingAt);
  }
  return null;
}

/** Until it takes something again; and long enough to be seen, told and recorded, although that may be at once. */
function isRefusing(row: RecipientRow, nowMs: number): row is RecipientRow & { refusedAt: Date } {
  const { refusedAt, takenAt } = row;
  if (refusedAt === null || nowMs - refusedAt.getTime() >= DOUBT_MS) return false;
  return takenAt === null || takenAt <= refusedAt || nowMs - refusedAt.getTime() < REFUSAL_LEAST_MS;
}

function finding(
  { world, channel, recipient }: Pick<RecipientRow, 'world' | 'channel' | 'recipient'>,
  why: string,
  since: Date,
): Finding {
  return {
    kind: 'notifier-failing',
    subject: `${world}/${channel}/${recipient}`,
    // The error changes with every try; it is in the evidence.
    facts: { world, channel, recipient, why, since },
    evidence: EVIDENCE,
  };
}

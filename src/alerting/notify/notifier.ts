import { readFileSync } from 'node:fs';
import type { Meter } from '@opentelemetry/api';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Duty } from '../../kernel/duty.js';
import type { HealthReport } from '../../kernel/health.js';
import { HttpOut } from '../../kernel/http-out.js';
import type { Logger } from '../../kernel/log.js';
import type { LoopHealth } from '../../kernel/loop.js';
import type { Ids, Random } from '../../kernel/random.js';
import type { SignalDesk } from '../../monitoring/contract.js';
import type { World } from '../../pipeline/contract.js';
import type { AlertingFile } from '../config.js';
import type { AlertDesk } from '../contract.js';
import { ChannelWatch } from './channel-watch.js';
import { Confirmation } from './confirmation.js';
import { Email } from './email.js';
import { NotifyMetrics, type RecipientReading } from './notify-metrics.js';
import { OnCallWatch } from './on-call.js';
import { Outbox } from './outbox.js';
import { PagerDoor } from './pager-door.js';
import { PagerDuty } from './pagerduty.js';
import { Rounds } from './rounds.js';
import type { SecondChannel } from './second-channel.js';
import { LEASE_MS, Sender } from './sender.js';
import { SlackWebhook } from './slack-webhook.js';
import { Beats } from './beats.js';
import type { Audience, WorldChannels } from './world-channels.js';

export interface NotifierDeps {
  database: Database;
  signals: SignalDesk;
  alerts: Pick<AlertDesk, 'acknowledge' | 'unacknowledge'>;
  /** Names the process that holds a lease. */
  processName: string;
  /** The loops whose silence is ours: those that make alerts of signals, and those of this notifier. */
  loops: () => readonly LoopHealth[];
  meter: Meter;
  clock: Clock;
  ids: Ids;
  random: Random;
  log: Logger;
}

/** Telling, wired: who is told in each world, by what, and whether it works. */
export class Notifier {
  readonly door: PagerDoor;
  readonly watch: ChannelWatch;
  private readonly worlds = new Map<World, WorldChannels>();
  private readonly http = new HttpOut(null); // its addresses come from the configuration file only
  private readonly outbox: Outbox;
  private readonly sender: Sender;
  private readonly confirmation: Confirmation;
  private readonly onCall: OnCallWatch;
  private readonly beats: Beats;

  constructor(private readonly deps: NotifierDeps) {
    const { meter, ...given } = deps;
    // Two processes in two containers have the same number: a lease is held under a name that is only one's own.
    const rest = { ...given, processName: `${deps.processName}:${deps.ids.token(6)}` };
    const metrics = new NotifyMetrics(meter);
    const channels = (): readonly WorldChannels[] => [...this.worlds.values()];
    const rounds = new Rounds(rest);
    const shared = { ...rest, rounds, channels };
    this.outbox = new Outbox({ ...rest, leaseMs: LEASE_MS });
    this.sender = new Sender({
      ...shared,
      outbox: this.outbox,
      said: (...given) => metrics.countSaid(...given),
    });
    this.confirmation = new Confirmation(shared);
    this.onCall = new OnCallWatch(shared);
    this.watch = new ChannelWatch({ ...shared, webhooksOff: () => this.onCall.webhooksOff() });
    this.beats = new Beats({
      ...shared,
      http: this.http,
      muteSince: (world) => this.watch.muteSince(world),
      beaten: (beat) => metrics.countBeat(beat),
    });
    this.door = new PagerDoor(shared);
    metrics.observe(() => this.readings());
  }

  /**
   * Who is told in a world from now on.
   *
   * @param settings `null` = nobody
   * @param ca PEM that is trusted for the pager besides the usual ones, in place of the file of the settings
   */
  configure(world: World, settings: AlertingFile | null, ca: string | null = null): void {
    this.close(world);
    if (settings !== null) this.worlds.set(world, this.channelsOf(world, settings, ca));
  }

  /** @returns `null` = nobody is configured */
  audience(world: World): Audience | null {
    const channels = this.worlds.get(world);
    if (!channels) return null;
    return {
      hasPager: channels.pager !== null,
      second: channels.second?.recipient ?? null,
      tickets: channels.tickets,
    };
  }

  duties(): Duty[] {
    return [
      ...this.sender.duties(),
      ...this.confirmation.duties(),
      this.watch.duty(),
      this.onCall.duty(),
      ...this.beats.duties(),
    ];
  }

  /** For `/healthz`: no name of a person, no address. */
  async health(): Promise<Omit<HealthReport, 'name'>> {
    // By choice, so nothing is broken; and said on every look, because it is easily forgotten.
    if (this.worlds.size === 0)
      return { state: 'ok', ageMs: null, detail: 'nobody is told: no alerting is configured' };
    const worlds = await this.watch.channels();
    const recipients = worlds.flatMap((each) => each.recipients);
    const failing = recipients.filter(({ state }) => state === 'failing');
    if (failing.length > 0) {
      const names = failing.map(({ world, channel, recipient }) => `${world} ${channel} ${recipient}`);
      return { state: 'failing', ageMs: null, detail: `not telling: ${names.join(', ')}` };
    }
    const unheard = worlds.filter(({ confirmation }) => confirmation === 'taken').map(({ world }) => world);
    const detail = unheard.length > 0 ? `${unheard.join(', ')}: pages are not confirmed beyond PagerDuty's 202` : null;
    return { state: 'ok', ageMs: 0, detail };
  }

  stop(): Promise<void> {
    for (const world of [...this.worlds.keys()]) this.close(world);
    return this.http.close();
  }

  private close(world: World): void {
    const channels = this.worlds.get(world);
    channels?.pager?.close();
    channels?.second?.close();
    this.worlds.delete(world);
  }

  private channelsOf(world: World, settings: AlertingFile, ca: string | null): WorldChannels {
    const { clock, ids } = this.deps;
    const publicUrl = settings.publicUrl ?? null;
    const { pagerduty } = settings;
    return {
      world,
      pager: pagerduty
        ? new PagerDuty({ settings: pagerduty, ca: ca ?? certificateIn(pagerduty.caFile), publicUrl, clock, ids })
        : null,
      webhookSecrets: pagerduty?.webhookSecrets ?? [],
      escalationPolicies: pagerduty?.escalationPolicies ?? [],
      second: this.secondChannel(settings.secondChannel),
      heartbeatUrl: settings.heartbeatUrl ?? null,
      tickets: settings.tickets,
      publicUrl,
    };
  }

  private secondChannel(settings: AlertingFile['secondChannel']): SecondChannel | null {
    const { clock } = this.deps;
    if (!settings) return null;
    if (settings.kind === 'webhook') return new SlackWebhook({ settings, http: this.http, clock });
    return new Email({ settings, ca: certificateIn(settings.caFile), clock });
  }

  /** A scrape must not fail because the database is away: then it shows nothing of these. */
  private async readings(): Promise<readonly RecipientReading[]> {
    const nowMs = this.deps.clock.nowMs();
    try {
      return (await this.watch.channels()).flatMap(({ recipients }) =>
        recipients.map(({ world, channel, recipient, state, waiting, oldestWaitingAt }) => ({
          world,
          channel,
          recipient,
          isFailing: state === 'failing',
          waiting,
          oldestWaitingSeconds: oldestWaitingAt === null ? 0 : Math.max(0, (nowMs - oldestWaitingAt.getTime()) / 1_000),
        })),
      );
    } catch (error) {
      this.deps.log.warn({ err: error }, 'the recipients could not be read for the metrics');
      return [];
    }
  }
}

function certificateIn(path: string | undefined): string | null {
  return path === undefined ? null : readFileSync(path, 'utf8');
}

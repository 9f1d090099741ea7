import type { Meter } from '@opentelemetry/api';
import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import { DrivenDuties, type Duty, type Settled } from '../kernel/duty.js';
import type { HttpOut } from '../kernel/http-out.js';
import type { Logger } from '../kernel/log.js';
import { Loop, type LoopHealth } from '../kernel/loop.js';
import type { Ids, Random } from '../kernel/random.js';
import type { PipelineReader, RegistryReader, World } from '../pipeline/contract.js';
import type { HeartbeatReader, ReconciliationDesk, SignalDesk, ThroughputReader } from '../monitoring/contract.js';
import { InboundAlertmanager } from './alertmanager/inbound-alerts.js';
import { OutboundAlertmanager } from './alertmanager/outbound-alerts.js';
import { AlertBook } from './alerts/alert-book.js';
import { AlertRound } from './alerts/alert-round.js';
import { PageVolume } from './alerts/page-volume.js';
import type { AlertRecord, Told } from './alerts/record.js';
import { Watched } from './alerts/watched.js';
import { Watchdog } from './alerts/watchdog.js';
import { ruleNamed } from './catalogue.js';
import type { AlertClass } from './contract.js';
import { Incidents } from './incidents/incidents.js';
import { Notifier } from './notify/notifier.js';
import { TICKETS } from './notify/second-channel.js';
import { ROUTINE, type Audience } from './notify/world-channels.js';
import { NotificationLog } from './said/notification-log.js';
import { SilenceBook } from './silences/silence-book.js';

const ALERTS = 'alerts';
const WORLDS: readonly World[] = ['real', 'sandbox'];

export interface AlertingOptions {
  database: Database;
  /** Names the process for people who look at the tables. */
  processName: string;
  /** Whether this process works. Others only show what has been decided. */
  watch: boolean;
  clock: Clock;
  log: Logger;
  ids: Ids;
  random: Random;
  registry: RegistryReader;
  signals: SignalDesk;
  reconciliation: ReconciliationDesk;
  throughput: ThroughputReader;
  pipeline: Pick<PipelineReader, 'lanes'>;
  /** The world of what is about no shop and no destination. */
  worldOfService: () => World;
  http: Pick<HttpOut, 'request'>;
  meter: Meter;
  heartbeats: HeartbeatReader;
  settings: AlertSettings;
}

/** Who hears of alerts, beside people. */
export interface AlertSettings {
  /** Base URL of an Alertmanager that hears of every alert; `null` = there is none. */
  alertmanagerUrl: string | null;
}

/**
 * Alerting, wired: everything that tells. Nobody leads here: any number of processes do these duties at once, and locks
 * on rows keep them from doing one thing twice.
 */
export class Alerting {
  readonly incidents: Incidents;
  /** Says it to people. */
  readonly notifier: Notifier;
  readonly alerts: AlertBook;
  readonly silences: SilenceBook;
  readonly notifications: NotificationLog;
  readonly inboundAlerts: InboundAlertmanager;
  private readonly work: readonly Duty[];
  private readonly loops: readonly Loop[];
  private readonly driven: DrivenDuties;

  constructor(private readonly options: AlertingOptions) {
    const { database, clock, log, signals } = options;
    const woken = (): void => this.loops.find(({ name }) => name === ALERTS)?.wake();
    this.alerts = new AlertBook({ database, clock, woken });
    this.silences = new SilenceBook({ database, clock, woken });
    this.notifications = new NotificationLog(database);
    this.inboundAlerts = new InboundAlertmanager({ signals, log });
    this.incidents = new Incidents({ ...options, alerts: this.alerts });
    this.notifier = new Notifier({ ...options, alerts: this.alerts, loops: () => this.health() });
    this.work = this.duties();
    this.driven = new DrivenDuties(this.work, clock);
    this.loops = this.work.map((duty) => new Loop({ ...duty, clock, log }));
  }

  /** The schema is there from here on. */
  start(): void {
    if (!this.options.watch) return;
    for (const loop of this.loops) loop.start();
  }

  /** As monitoring's: every duty whose pause is over, until it has nothing more to do, for who drives the clock. */
  settle(pauseMs?: (duty: Duty) => number): Promise<Settled> {
    return this.driven.settle(pauseMs);
  }

  health(): LoopHealth[] {
    return this.options.watch ? this.loops.map((loop) => loop.health()) : [];
  }

  /** Bounded: a round that is under way is told to end. */
  async stop(): Promise<void> {
    if (this.options.watch) await Promise.all(this.loops.map((loop) => loop.stop()));
    await this.notifier.stop();
  }

  private duties(): Duty[] {
    // In the order of what is told: what a round folds is followed in the same settling.
    return [...this.alertDuties(), ...this.notifier.duties(), ...this.incidents.duties()];
  }

  private alertDuties(): Duty[] {
    const { database, clock, log, signals, registry, worldOfService, heartbeats, settings, http } = this.options;
    const { alertmanagerUrl: url } = settings;
    const round = new AlertRound({
      database,
      clock,
      log,
      signals,
      worldOfService,
      kindOfDestination: (name) => registry.destinations().find((one) => one.name === name)?.kind ?? null,
      listeners: (alert) => listenersOf(alert, this.notifier.audience(alert.world), settings),
    });
    const watchdog = new Watchdog({ database, clock, worldOfService });
    const volume = new PageVolume({ database, clock, signals });
    const watched = new Watched({ database, clock, heartbeats });
    const alertmanager = url === null ? null : new OutboundAlertmanager({ url, database, clock, log, http });
    return [
      { name: ALERTS, pauseMs: 500, round: () => round.round() },
      {
        name: 'untold-alerts',
        pauseMs: 10_000,
        round: () =>
          round.wakeUntold(
            WORLDS.flatMap((world) => {
              const audience = this.notifier.audience(world);
              return audience === null ? [] : classesOf(world, audience);
            }),
          ),
      },
      { name: 'watchdog', pauseMs: 60_000, staleAfterMs: 180_000, round: () => watchdog.round() },
      { name: 'page-volume', pauseMs: 60_000, staleAfterMs: 180_000, round: () => volume.round() },
      { name: 'alert-watch', pauseMs: 30_000, round: () => watched.round() },
      ...(alertmanager
        ? [{ name: 'alertmanager', pauseMs: 5_000, round: (signal: AbortSignal) => alertmanager.round(signal) }]
        : []),
    ];
  }
}

/**
 * Who hears of an alert. Without a pager its pages go by the second channel; with neither they are listed, and told once
 * there is somebody to tell. Pure.
 */
export function listenersOf(
  alert: Pick<AlertRecord, 'name' | 'class' | 'route' | 'world'>,
  audience: Audience | null,
  { alertmanagerUrl }: AlertSettings,
): Pick<Told, 'channel' | 'recipient'>[] {
  const { name, class: grade, world } = alert;
  if (grade === 'log') return [];
  const listeners = audience === null ? [] : peopleOf(alert, audience);
  // What is configured outside is for what is real; and an Alertmanager need not hear from us what it told us.
  if (alertmanagerUrl !== null && world === 'real' && ruleNamed(name)?.kind !== 'external') {
    listeners.push({ channel: 'alertmanager', recipient: OutboundAlertmanager.recipientOf(alertmanagerUrl) });
  }
  return listeners;
}

function peopleOf(
  { class: grade, route }: Pick<AlertRecord, 'class' | 'route'>,
  { hasPager, second, tickets }: Audience,
): Pick<Told, 'channel' | 'recipient'>[] {
  if (grade === 'page' && hasPager) return [{ channel: 'pagerduty', recipient: route }];
  if (grade === 'page') return second === null ? [] : [{ channel: 'second', recipient: second }];
  if (tickets === 'pagerduty' && hasPager) return [{ channel: 'pagerduty', recipient: ROUTINE }];
  if (tickets === 'second' && second !== null) return [{ channel: 'second', recipient: TICKETS }];
  return [];
}

/** What people of a world are told at all. */
function classesOf(world: World, audience: Audience): { world: World; class: AlertClass }[] {
  return (['page', 'ticket'] as const)
    .filter((each) => peopleOf({ class: each, route: ROUTINE }, audience).length > 0)
    .map((each) => ({ world, class: each }));
}

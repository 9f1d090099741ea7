import type {
  AlertDesk,
  InboundAlerts,
  InboundPager,
  IncidentDesk,
  NotificationReader,
  NotifierReader,
  SilenceDesk,
} from '../alerting/contract.js';
import type { ApiTokens } from '../kernel/auth.js';
import type { Clock } from '../kernel/clock.js';
import type { Database, DurabilitySetting } from '../kernel/database.js';
import type { HealthSource } from '../kernel/health.js';
import type { Logger } from '../kernel/log.js';
import type {
  HeartbeatReader,
  InboundMail,
  NoticeDesk,
  ProcessReader,
  ReconciliationDesk,
  SignalReader,
  SilenceReader,
  SloReader,
  SubscriptionDesk,
  ThroughputReader,
} from '../monitoring/contract.js';
import type { DeadLetterReplay, PipelineReader, RegistryDesk } from '../pipeline/contract.js';
import type { StatusDesk } from '../status-page/contract.js';

/** What the start page says beside what it measures. */
export interface StartFacts {
  /** Where Prometheus reads; `null` = not served by this process. */
  metricsUrl: string | null;
  /** The sandbox's control page; `null` = it does not run. */
  sandboxUrl: string | null;
  /** The file that holds the generated admin token; `null` = it came from the environment. */
  adminTokenPath: string | null;
  database: 'embedded' | 'external';
  /** `null` = not known (yet). */
  durability: readonly DurabilitySetting[] | null;
}

/** Everything the console needs from the rest; given by the wiring. */
export interface ConsoleDeps {
  version: string;
  clock: Clock;
  log: Logger;
  /** For the kernel's own tables (audit). */
  database: Database;
  tokens: ApiTokens;
  registry: RegistryDesk;
  pipeline: PipelineReader;
  replay: DeadLetterReplay;
  signals: SignalReader;
  throughput: ThroughputReader;
  silence: SilenceReader;
  slos: SloReader;
  processes: ProcessReader;
  heartbeats: HeartbeatReader;
  reconciliation: ReconciliationDesk;
  notices: NoticeDesk;
  inboundMail: InboundMail;
  subscriptions: SubscriptionDesk;
  incidents: IncidentDesk;
  alerts: AlertDesk;
  silences: SilenceDesk;
  notifications: NotificationReader;
  notifier: NotifierReader;
  inboundPager: InboundPager;
  inboundAlerts: InboundAlerts;
  statusPage: StatusDesk;
  health: readonly HealthSource[];
  /** Whether this process wants traffic, and if not, why. */
  ready: () => { ready: boolean; reason: string | null };
  start: () => StartFacts;
}

/** Injection token of `ConsoleDeps`. */
export const CONSOLE_DEPS = Symbol('ConsoleDeps');

import { promises as dns } from 'node:dns';
import type { Meter } from '@opentelemetry/api';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { Logger } from '../../kernel/log.js';
import { Loop } from '../../kernel/loop.js';
import type { RegistryReader } from '../../pipeline/contract.js';
import type { NoticeSettings } from '../config.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { LookUpTxt } from './dkim.js';
import { NoticeBook, type World } from './notice-book.js';
import { NoticeDoor } from './notice-door.js';
import { NoticeMetrics } from './notice-metrics.js';
import { NoticeRound, type Hint } from './notice-round.js';
import type { ProviderDeps } from './providers/inbound.js';
import { SmtpListener } from './smtp-listener.js';

const ROUND_EVERY_MS = 1_000;
const SMTP_LOOK_EVERY_MS = 5_000;
const FETCH_WITHIN_MS = 4_000;
const DNS_TRIES = 2;
const DNS_WITHIN_MS = 2_000;

/** What notices need beside monitoring's own; given by the wiring. */
export interface NoticeOptions {
  /** `null` = the configuration says nothing. */
  settings: NoticeSettings | null;
  secrets: readonly { secret: string; world: World }[];
  meter: Meter;
  http: Pick<HttpOut, 'request'>;
  /** Default: this machine's resolver. */
  lookUpTxt?: LookUpTxt;
}

/** Shopify's mails, wired: the door, the book, what follows from it, and the listener. */
export class Notices {
  readonly book: NoticeBook;
  readonly door: NoticeDoor;
  readonly smtp: SmtpListener | null;
  private readonly round: NoticeRound;

  constructor(
    private readonly deps: {
      options: NoticeOptions;
      database: Database;
      registry: RegistryReader;
      signals: SignalBook;
      hint: Hint;
      clock: Clock;
      log: Logger;
    },
  ) {
    const { options, database, registry, clock, log, signals, hint } = deps;
    const { settings } = options;
    const shops = () => registry.shops();
    this.book = new NoticeBook({ database, clock, names: registry });
    this.round = new NoticeRound({ book: this.book, signals, shops, hint, clock, log });
    this.door = new NoticeDoor({
      book: this.book,
      shops,
      clock,
      log,
      metrics: new NoticeMetrics(options.meter),
      settings,
      secrets: options.secrets,
      lookUpTxt: options.lookUpTxt ?? systemLookUp(),
      get: getOver(options.http),
    });
    this.smtp = settings?.smtp
      ? new SmtpListener({ ...settings.smtp, take: (raw) => this.door.takeSmtp(raw), log })
      : null;
  }

  /** For the process that leads. */
  duty(): { name: string; pauseMs: number; round: () => ReturnType<NoticeRound['run']> } {
    return { name: 'notices', pauseMs: ROUND_EVERY_MS, round: () => this.round.run() };
  }

  /** For every process that watches: a listener that could not open is opened later. */
  loops(): Loop[] {
    const { smtp, deps } = this;
    if (!smtp) return [];
    const { clock, log } = deps;
    const round = async () => {
      await smtp.open();
      return 'idle' as const;
    };
    return [new Loop({ name: 'notices-smtp', pauseMs: SMTP_LOOK_EVERY_MS, clock, log, round })];
  }

  async close(): Promise<void> {
    await this.smtp?.close();
  }
}

function getOver(http: Pick<HttpOut, 'request'>): ProviderDeps['get'] {
  return async (url) => {
    const answer = await http.request({ method: 'GET', url, headers: {}, deadlineMs: FETCH_WITHIN_MS });
    if (answer.kind !== 'answer') return { ok: false, detail: answer.detail };
    if (answer.status !== 200 || !answer.complete) return { ok: false, detail: `HTTP ${answer.status}` };
    return { ok: true, body: answer.body };
  };
}

function systemLookUp(): LookUpTxt {
  const resolver = new dns.Resolver({ tries: DNS_TRIES, timeout: DNS_WITHIN_MS });
  return (name) => resolver.resolveTxt(name);
}

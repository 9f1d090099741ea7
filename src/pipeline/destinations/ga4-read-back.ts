import type { Clock } from '../../kernel/clock.js';
import type { HttpOut, HttpResult } from '../../kernel/http-out.js';
import type {
  Destination,
  Kind,
  ReadBackAbility,
  ReadBackItem,
  ReadBackLater,
  ReadBackPresent,
  Shop,
} from '../contract.js';
import type { AdapterReadBack } from './adapter.js';
import { readReport, reportRange, reportRequest, type Report } from './ga4-report.js';
import { GA4_SETTINGS, type Ga4Settings } from './ga4-settings.js';
import { GoogleTokens } from './google-account.js';
import { OwnSettings } from './own-settings.js';
import { unreadable } from './read-back-answer.js';
import { cannot, later } from './read-back.js';

const DATA_ENDPOINT = 'https://analyticsdata.googleapis.com';
const SCOPE = 'https://www.googleapis.com/auth/analytics.readonly';
const DEADLINE_MS = 20_000; // reports of large properties take seconds
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const PAGE_ROWS = 10_000; // ten times what can be asked for; the API gives up to 250,000
const PAGES_MAX = 10;

/** The merchant's own dashboards live on the same tokens. A request like ours takes fewer than ten. */
const TOKENS_RESERVED = 1_000;
const MINUTE_MS = 60_000;
const CONCURRENCY_PAUSE_MS = 30_000;
const HOUR_QUOTA_PAUSE_MS = 30 * MINUTE_MS;
const DAY_QUOTA_PAUSE_MS = 120 * MINUTE_MS;
/** By how many server errors there were in the last hour: ten of them block the property for everybody. */
const SERVER_ERROR_PAUSES_MS = [0.5, 1, 2, 4, 8].map((minutes) => minutes * MINUTE_MS);
const SERVER_ERROR_PAUSE_MAX_MS = 10 * MINUTE_MS;

const PURCHASES: ReadonlySet<Kind> = new Set<Kind>(['purchase']);

interface Reachable {
  propertyId: string;
  serviceAccount: string;
  endpoint: string;
}

/** One property: asked by one request at a time, and left alone while it is to rest. */
class Property {
  private last: Promise<unknown> = Promise.resolve();
  private rest: { untilMs: number; why: string } = { untilMs: 0, why: '' };
  private serverErrorsAtMs: number[] = [];

  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => undefined);
    return mine;
  }

  restUntil(untilMs: number, why: string): void {
    if (untilMs > this.rest.untilMs) this.rest = { untilMs, why };
  }

  /** @returns how long to rest after this server error */
  serverError(nowMs: number): number {
    this.serverErrorsAtMs = [...this.serverErrorsAtMs.filter((atMs) => atMs > nowMs - 60 * MINUTE_MS), nowMs];
    return SERVER_ERROR_PAUSES_MS[this.serverErrorsAtMs.length - 1] ?? SERVER_ERROR_PAUSE_MAX_MS;
  }

  resting(nowMs: number): ReadBackLater | null {
    const { untilMs, why } = this.rest;
    return untilMs > nowMs ? later(why, untilMs - nowMs) : null;
  }
}

/**
 * Reads purchases back from GA4 by transaction id, through the Data API's `runReport`.
 *
 * Its quotas belong to the property, and so to the merchant: one request at a time, a pause that lasts as long as the
 * quota that ran out, and a reserve that is never touched. Refunds cannot be told apart by an id, and an order's name is
 * not known here, so both are `none`.
 * Source: docs/destinations/ga4.md, "Read back"
 */
export class Ga4ReadBack implements AdapterReadBack {
  private readonly settings = new OwnSettings<Ga4Settings>(GA4_SETTINGS);
  private readonly tokens: GoogleTokens;
  private readonly properties = new Map<string, Property>();

  constructor(
    private readonly http: Pick<HttpOut, 'request' | 'close'>,
    private readonly clock: Clock,
  ) {
    this.tokens = new GoogleTokens(http, clock, SCOPE);
  }

  ability(destination: Destination): ReadBackAbility {
    const settings = this.settings.orNull(destination);
    if (settings === null) return cannot('its settings cannot be read');
    if (settings.propertyId === undefined || settings.serviceAccount === undefined) {
      return cannot('GA4 is asked through its Data API, which needs the settings propertyId and serviceAccount');
    }
    if (settings.transactionId === 'order-name') {
      return cannot('GA4 knows these orders by their name (transactionId: order-name), and the ledger by their id');
    }
    return { means: 'ids', kinds: PURCHASES, settlingMs: settings.settlingHours * 60 * MINUTE_MS, why: null };
  }

  async present(
    destination: Destination,
    _shop: Shop,
    _kind: Kind,
    items: readonly ReadBackItem[],
    signal?: AbortSignal,
  ): Promise<ReadBackPresent> {
    const reach = reachable(this.settings.of(destination));
    if (reach === null) return later('propertyId or serviceAccount is not set');
    const property = this.propertyOf(reach);
    return property.inTurn(async () => {
      const found = await this.purchases(reach, property, items, signal);
      if (found.outcome === 'later') return found;
      const present = new Set(
        items.filter(({ orderId }) => (found.purchases.get(orderId) ?? 0) > 0).map(({ subjectId }) => subjectId),
      );
      // Where rows are withheld, what was found is there, and what was not found may be.
      if (found.withheld !== null && present.size < items.length) return { ...later(found.withheld), present };
      return { outcome: 'read', present };
    });
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  /** All pages of the report, or why not. */
  private async purchases(
    reach: Reachable,
    property: Property,
    items: readonly ReadBackItem[],
    signal: AbortSignal | undefined,
  ): Promise<({ outcome: 'read' } & Pick<Report, 'purchases' | 'withheld'>) | ReadBackLater> {
    const ids = [...new Set(items.map(({ orderId }) => orderId))];
    const range = reportRange(items, this.clock.nowMs());
    const purchases = new Map<string, number>();
    let withheld: string | null = null;
    let rows = 0;
    for (let page = 0; page < PAGES_MAX; page++) {
      const report = await this.page(
        reach,
        property,
        reportRequest(ids, range, { limit: PAGE_ROWS, offset: rows }),
        signal,
      );
      if ('outcome' in report) return report;
      for (const [id, count] of report.purchases) purchases.set(id, (purchases.get(id) ?? 0) + count);
      withheld ??= report.withheld;
      rows += report.rows;
      if (rows >= report.rowCount) return { outcome: 'read', purchases, withheld };
      if (report.rows === 0) break;
    }
    return later('GA4 announced more rows than it gave');
  }

  private async page(
    reach: Reachable,
    property: Property,
    body: string,
    signal: AbortSignal | undefined,
  ): Promise<Report | ReadBackLater> {
    const resting = property.resting(this.clock.nowMs());
    if (resting !== null) return resting;
    for (let time = 1; ; time++) {
      const access = await this.tokens.token(reach.serviceAccount, signal);
      if (access.outcome === 'later') return access;
      const result = await this.http.request({
        method: 'POST',
        url: `${reach.endpoint}/v1beta/properties/${reach.propertyId}:runReport`,
        headers: {
          authorization: `Bearer ${access.token}`,
          'content-type': 'application/json',
          'user-agent': 'Plumbline',
        },
        body,
        deadlineMs: DEADLINE_MS,
        bodyBytesMax: ANSWER_BYTES_MAX,
        ...(signal ? { signal } : {}),
      });
      const isRefused = result.kind === 'answer' && result.status === 401;
      if (isRefused) this.tokens.forget(reach.serviceAccount);
      if (isRefused && time === 1) continue; // a token can be revoked before its time
      return this.reportOf(result, property, access.token);
    }
  }

  private reportOf(result: HttpResult, property: Property, token: string): Report | ReadBackLater {
    const nowMs = this.clock.nowMs();
    const isWhole = result.kind === 'answer' && result.status === 200 && result.complete;
    const report = isWhole ? readReport(result.body) : null;
    if (report !== null) {
      if (report.tokensLeft !== null && report.tokensLeft < TOKENS_RESERVED) {
        property.restUntil(nowMs + HOUR_QUOTA_PAUSE_MS, `GA4 has ${report.tokensLeft} tokens left, left to others`);
      }
      return report;
    }
    const refusal = unreadable(result, { nowMs, secrets: [token] });
    const isServerError = result.kind === 'answer' && result.status >= 500;
    const ownPauseMs = isServerError ? property.serverError(nowMs) : quotaPauseOf(result);
    const pauseMs = Math.max(ownPauseMs, refusal.retryAfterMs ?? 0);
    if (pauseMs === 0) return refusal;
    property.restUntil(nowMs + pauseMs, refusal.detail);
    return { ...refusal, retryAfterMs: pauseMs };
  }

  private propertyOf({ endpoint, propertyId }: Reachable): Property {
    const key = `${endpoint} ${propertyId}`;
    let property = this.properties.get(key);
    if (property === undefined) this.properties.set(key, (property = new Property()));
    return property;
  }
}

function reachable({ propertyId, serviceAccount, dataEndpoint }: Ga4Settings): Reachable | null {
  if (propertyId === undefined || serviceAccount === undefined) return null;
  return { propertyId, serviceAccount, endpoint: (dataEndpoint ?? DATA_ENDPOINT).replace(/\/+$/, '') };
}

/**
 * How long a quota that ran out lasts; 0 = it was no quota.
 *
 * The wording "… concurrent …", "… per hour", "… per day" is Google's; an unknown one counts as the hour's.
 */
function quotaPauseOf(result: HttpResult): number {
  if (result.kind !== 'answer') return 0;
  if (result.status !== 429 && !result.body.includes('RESOURCE_EXHAUSTED')) return 0;
  if (/concurrent/i.test(result.body)) return CONCURRENCY_PAUSE_MS;
  return /per day/i.test(result.body) ? DAY_QUOTA_PAUSE_MS : HOUR_QUOTA_PAUSE_MS;
}

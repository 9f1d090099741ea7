import type { Clock } from '../../kernel/clock.js';
import type { AdminAnswer, Shop, ShopifyAdmin, World } from '../contract.js';

/** POSTs JSON with a deadline. Rejects when there is no answer. `world` decides which addresses may be reached. */
export type PostJson = (
  world: World,
  url: string,
  headers: Record<string, string>,
  body: string,
  signal?: AbortSignal,
) => Promise<{ status: number; body: string }>;

interface CostStatus {
  currentlyAvailable: number;
  restoreRate: number;
}

/**
 * Shopify's Admin GraphQL API, one shop at a time: our own thin client, because what we need of it is one POST, the
 * cost throttle and honest outcomes.
 *
 * Throttling: a leaky bucket per app and shop, in points; the answer's `extensions.cost` says what is left and how
 * fast it comes back. A throttled query answers 200 with `errors[0].extensions.code = THROTTLED`, or 429.
 * Source: shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits (read 2026-11)
 */
export class AdminApi implements ShopifyAdmin {
  private readonly pausedUntilMs = new Map<string, number>();

  constructor(private readonly deps: { post: PostJson; clock: Clock; apiVersion: string }) {}

  async query(
    shop: Shop,
    query: string,
    variables: Record<string, unknown>,
    signal?: AbortSignal,
  ): Promise<AdminAnswer> {
    if (shop.accessToken === null) return { outcome: 'denied', detail: 'the shop has no access token' };
    const pausedMs = (this.pausedUntilMs.get(shop.id) ?? 0) - this.deps.clock.nowMs();
    if (pausedMs > 0) return { outcome: 'throttled', retryAfterMs: pausedMs };
    const base = shop.adminUrl ?? `https://${shop.domain}`;
    let answer: { status: number; body: string };
    try {
      answer = await this.deps.post(
        shop.world,
        `${base.replace(/\/$/, '')}/admin/api/${this.deps.apiVersion}/graphql.json`,
        { 'x-shopify-access-token': shop.accessToken },
        JSON.stringify({ query, variables }),
        signal,
      );
    } catch (error) {
      return { outcome: 'unavailable', detail: error instanceof Error ? error.message : String(error) };
    }
    const judged = judgeAnswer(answer.status, answer.body);
    if (judged.outcome === 'throttled') {
      this.pausedUntilMs.set(shop.id, this.deps.clock.nowMs() + judged.retryAfterMs);
    }
    return judged;
  }
}

const THROTTLED_PAUSE_MS = 2_000; // when the answer does not say how fast points come back

/** Pure. Exported for its table of cases. */
export function judgeAnswer(status: number, body: string): AdminAnswer {
  if (status === 429) return { outcome: 'throttled', retryAfterMs: THROTTLED_PAUSE_MS };
  if (status === 401 || status === 403) return { outcome: 'denied', detail: `HTTP ${status}` };
  if (status < 200 || status >= 300) return { outcome: 'unavailable', detail: `HTTP ${status}` };
  let answer: { data?: Record<string, unknown> | null; errors?: unknown; extensions?: unknown };
  try {
    answer = JSON.parse(body) as typeof answer;
  } catch {
    return { outcome: 'unavailable', detail: 'the answer is not JSON' };
  }
  const errors = Array.isArray(answer.errors) ? (answer.errors as unknown[]) : [];
  const [first] = errors;
  if (first !== undefined) {
    const code = stringAt(first, 'extensions', 'code');
    const message = stringAt(first, 'message') ?? 'unnamed error';
    if (code === 'THROTTLED' || message === 'Throttled') {
      return { outcome: 'throttled', retryAfterMs: pauseFor(answer.extensions) };
    }
    if (code === 'ACCESS_DENIED') return { outcome: 'denied', detail: message };
    if (code === 'INTERNAL_SERVER_ERROR') return { outcome: 'unavailable', detail: message };
    return { outcome: 'refused', detail: message };
  }
  return answer.data
    ? { outcome: 'data', data: answer.data, extensions: answer.extensions }
    : { outcome: 'unavailable', detail: 'an answer without data' };
}

/** Until the bucket holds what the query asked for again. */
function pauseFor(extensions: unknown): number {
  const cost = at(extensions, 'cost');
  const requested = at(cost, 'requestedQueryCost');
  const status = at(cost, 'throttleStatus') as Partial<CostStatus> | undefined;
  if (typeof requested !== 'number' || typeof status?.currentlyAvailable !== 'number' || !status.restoreRate) {
    return THROTTLED_PAUSE_MS;
  }
  return Math.max(100, Math.ceil(((requested - status.currentlyAvailable) / status.restoreRate) * 1_000));
}

export function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (current, key) =>
      current !== null && typeof current === 'object' ? (current as Record<string, unknown>)[key] : undefined,
    value,
  );
}

export function stringAt(value: unknown, ...path: string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

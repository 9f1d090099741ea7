import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { SecretBox } from '../../kernel/secrets.js';
import type { InboxEntry, Shop, World } from '../contract.js';
import { openSegment, sealSegment } from '../inbox/segment.js';

/**
 * Why a webhook cannot go on yet:
 * - `unknown-shop`: signed by our app's secret, but no such shop is connected; goes on when it is
 * - `needs-fetch`: the body is only an id; goes on when the Admin API has given the rest
 * - `no-token`: the body is only an id, and the shop has no access token to fetch the rest with
 */
export type HeldReason = 'unknown-shop' | 'needs-fetch' | 'no-token';

const PURPOSE = 'held';
const BATCH = 50;

const HOLD = `
insert into pipeline.held as h (shop_domain, webhook_id, sandbox, topic, reason, received_at, held_at, next_try_at, payload)
values ($1, $2, $3, $4, $5, $6, $7, case when $5 = 'needs-fetch' then $7::timestamptz end, $8)
on conflict (shop_domain, webhook_id, sandbox) where released_at is null do update set repeats = h.repeats + 1`;

export async function hold(
  client: Queryable,
  secrets: SecretBox,
  entry: InboxEntry,
  reason: HeldReason,
  heldAt: Date,
): Promise<void> {
  await client.query(HOLD, [
    entry.shopDomain,
    entry.webhookId,
    entry.world === 'sandbox',
    entry.topic,
    reason,
    new Date(entry.receivedAtMs),
    heldAt,
    sealSegment([entry], secrets, PURPOSE),
  ]);
}

/**
 * The due ones. Locks nothing: two processes that pick the same row append it twice under one derived webhook id,
 * which has one effect.
 */
const FIND_DUE = `
select id, shop_domain, sandbox, reason, tries, repeats, payload from pipeline.held
 where released_at is null and next_try_at <= $1
 order by next_try_at limit ${BATCH}`;

/**
 * What waited for a shop or for its token, and has it now, becomes due. Rows that still wait are not touched, so that
 * a flood from a shop nobody knows costs one read.
 */
const WAKE_WAITING = `
update pipeline.held h set next_try_at = $1
  from pipeline.shop s
 where h.released_at is null and h.next_try_at is null
   and s.domain = h.shop_domain and s.sandbox = h.sandbox and s.uninstalled_at is null
   and (h.reason = 'unknown-shop' or (h.reason = 'no-token' and s.access_token is not null))`;

/** Asks Shopify for what a lone id stands for, as a webhook body. */
export type FetchBody = (
  shop: Shop,
  topic: string,
  body: Buffer,
) => Promise<{ outcome: 'fetched'; body: Buffer } | { outcome: 'gone' | 'later' | 'impossible'; detail: string }>;

export interface HeldDeps {
  database: Database;
  secrets: SecretBox;
  clock: Clock;
  log: Logger;
  shops: { shopByDomain(world: World, domain: string): Shop | undefined };
  fetchBody: FetchBody;
  append: (entry: InboxEntry) => Promise<unknown>;
}

const RETRY_BASE_MS = 2_000;
const RETRY_CAP_MS = 15 * 60_000;

interface HeldRow extends Record<string, unknown> {
  id: string;
  shop_domain: string;
  sandbox: boolean;
  reason: HeldReason;
  tries: number;
  repeats: number;
  payload: Buffer;
}

/** Lets held webhooks go on as soon as what they wait for is there. */
export class HeldWebhooks {
  constructor(private readonly deps: HeldDeps) {}

  async round(): Promise<Round> {
    const now = this.deps.clock.now();
    await this.deps.database.query(WAKE_WAITING, [now]);
    const rows = await this.deps.database.rows<HeldRow>(FIND_DUE, [now]);
    for (const row of rows) {
      const entry = this.open(row);
      const shop = this.deps.shops.shopByDomain(row.sandbox ? 'sandbox' : 'real', row.shop_domain);
      if ('unreadable' in entry) {
        // Its turn comes again when the rest has had theirs: a missing key comes back, and people see the detail.
        this.deps.log.error({ held: row.id, detail: entry.unreadable }, 'held webhook not readable');
        await this.later(row.id, row.reason, entry.unreadable, row.tries, RETRY_CAP_MS);
      } else if (!shop) await this.later(row.id, 'unknown-shop', null, row.tries, null);
      else if (row.reason === 'unknown-shop') await this.release(row, entry);
      else await this.fetch(row, shop, entry);
    }
    return rows.length === BATCH ? 'busy' : 'idle';
  }

  private open({ id, payload }: HeldRow): InboxEntry | { unreadable: string } {
    try {
      return openSegment(payload, this.deps.secrets, PURPOSE, `held webhook ${id}`).entry(0);
    } catch (error) {
      return { unreadable: messageOf(error) };
    }
  }

  private async fetch(row: HeldRow, shop: Shop, entry: InboxEntry): Promise<void> {
    const { id, tries } = row;
    if (shop.accessToken === null) {
      await this.later(id, 'no-token', 'connect the shop with an access token', tries, null);
      return;
    }
    const fetched = await this.deps.fetchBody(shop, entry.topic, entry.body).catch((error: unknown) => ({
      outcome: 'later' as const,
      detail: messageOf(error),
    }));
    if (fetched.outcome === 'fetched') {
      // A derived id: fetching twice after a crash is one webhook.
      await this.release(row, { ...entry, source: 'fetch', webhookId: `fetch:${entry.webhookId}`, body: fetched.body });
      return;
    }
    const backOffMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(tries, 20));
    this.deps.log.warn({ shop: shop.domain, topic: entry.topic, detail: fetched.detail }, 'held webhook not fetched');
    await this.later(id, 'needs-fetch', `${fetched.outcome}: ${fetched.detail}`, tries, backOffMs);
  }

  /**
   * Durable in the inbox first, released after: a crash in between makes a repeat, never a gap. A router that does not
   * know the shop yet may meet the append before this release and hold it again, on this same row: the row then stays.
   */
  private async release({ id, repeats }: HeldRow, entry: InboxEntry): Promise<void> {
    await this.deps.append(entry);
    await this.deps.database.query('update pipeline.held set released_at = $3 where id = $1 and repeats = $2', [
      id,
      repeats,
      this.deps.clock.now(),
    ]);
  }

  /** @param ms `null` = when what it waits for is there */
  private async later(
    id: string,
    reason: HeldReason,
    detail: string | null,
    tries: number,
    ms: number | null,
  ): Promise<void> {
    await this.deps.database.query(
      'update pipeline.held set reason = $2, detail = $3, tries = $4, next_try_at = $5 where id = $1',
      [id, reason, detail, tries + 1, ms === null ? null : new Date(this.deps.clock.nowMs() + ms)],
    );
  }
}

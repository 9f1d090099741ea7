import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import type { SecretBox } from '../kernel/secrets.js';
import {
  KIND_CODES,
  STATE_CODES,
  type AttemptView,
  type DeadLetterCount,
  type DeadLetterFilter,
  type DeadLetterView,
  type DestinationKind,
  type HeldView,
  type InboxEntry,
  type InboxGapView,
  type LaneView,
  type OrderView,
  type Page,
  type PageRequest,
  type PipelineReader,
  type PipelineTotals,
  type WebhookOutcomeView,
} from './contract.js';
import { DEAD_LETTER_COLUMNS, deadLetterOf, type DeadLetterRow } from './dead-letter-row.js';
import { openDeadLetter } from './delivery/dead-letters.js';
import { readInboxGaps } from './inbox/inbox-gap.js';
import type { GaugeReading } from './metrics.js';
import { readOrder } from './order-query.js';

/** Index: dead_letter_id backwards from the cursor; the filters thin what it meets. */
const DEAD_LETTERS = `${DEAD_LETTER_COLUMNS}
 where ($1::bigint is null or d.id < $1)
   and ($2::text is null or d.shop_domain = $2)
   and ($3::text is null or t.name = $3)
   and ($4::text is null or d.lane = $4)
   and ($5::text is null or d.reason = $5)
   and ($6::timestamptz is null or d.buried_at >= $6)
   and ($7::timestamptz is null or d.buried_at < $7)
   and ($8 = 'all' or (d.replayed_at is null) = ($8 = 'open'))
 order by d.id desc limit $9`;

const DEAD_LETTER = `${DEAD_LETTER_COLUMNS} where d.id = $1`;
const DEAD_LETTER_PAYLOAD = `select payload from pipeline.dead_letter where id = $1`;

/** Index: held's primary key backwards from the cursor. */
const HELD = `
select id::text as id, shop_domain as shop, topic, webhook_id as "webhookId", reason, detail,
       received_at as "receivedAt", held_at as "heldAt", next_try_at as "nextTryAt", tries, repeats
  from pipeline.held
 where released_at is null
   and ($1::bigint is null or id < $1)
   and ($2::text is null or shop_domain = $2)
   and ($3::text is null or reason = $3)
 order by id desc limit $4`;

/**
 * A webhook of an unknown shop is recorded under shop 0 with the id `world/domain/id` (router), so its domain is read
 * from there. Partitions: the weeks of the window.
 */
const OUTCOMES = `
select coalesce(s.domain, split_part(w.webhook_id, '/', 2)) as shop, s.id is not null as "shopKnown", w.topic,
       w.outcome, w.reason, count(*)::integer as count, coalesce(sum(w.repeats), 0)::integer as repeats,
       max(w.received_at) as "lastAt"
  from pipeline.webhook w left join pipeline.shop s on s.id = w.shop_id
 where w.week >= ($2::timestamptz at time zone 'UTC')::date - 7 and w.received_at >= $2 and w.received_at < $3
   and ($1::text is null or coalesce(s.domain, split_part(w.webhook_id, '/', 2)) = $1)
 group by 1, 2, 3, 4, 5
 order by 1, 3, 4, 5
 limit 5000`;

/** Index: delivery_lane, one scan for all lanes; a breaker that is open shows even when nothing waits behind it. */
const LANES = `
with waiting as (
  select shop_id, destination_id, count(*)::integer as backlog, min(queued_at) as oldest
    from pipeline.delivery group by shop_id, destination_id
)
select t.name as destination, s.domain as shop, coalesce(l.state, 'closed') as state, l.since,
       l.retry_at as "retryAt", coalesce(l.failures, 0) as failures, l.last_error as "lastError",
       coalesce(w.backlog, 0) as backlog, w.oldest as "oldestQueuedAt"
  from waiting w
  full join (select * from pipeline.lane where state = 'open') l using (shop_id, destination_id)
  join pipeline.destination t on t.id = destination_id
  join pipeline.shop s on s.id = shop_id
 where $1::text is null or t.name = $1
 order by t.name, s.domain`;

/** As the adapters begin what they say of a 401 or 403; see `outcomeOf`. */
const CREDENTIALS = `'credentials rejected'`;

/** Partitions: the facts of the window's days; index: ledger_fact_at. What was read back later is no try. */
const ATTEMPTS = `
select t.name as destination, f.attempts, f.failures, f.retryable, f.refused as "credentialsRejected"
  from (select destination_id, count(*)::integer as attempts,
               count(*) filter (where state not in (${STATE_CODES.accepted}, ${STATE_CODES.confirmed}))::integer as failures,
               count(*) filter (where state = ${STATE_CODES.queued} and not starts_with(detail, ${CREDENTIALS}))::integer
                 as retryable,
               count(*) filter (where starts_with(detail, ${CREDENTIALS}))::integer as refused
          from pipeline.ledger_fact
         where day >= ($1::timestamptz at time zone 'UTC')::date and at >= $1 and attempt is not null
         group by destination_id) f
  join pipeline.destination t on t.id = f.destination_id
 order by t.name`;

/** Index: dead_letter_open. */
const DEAD_LETTER_COUNTS = `
select t.name as destination, d.lane, count(*) filter (where d.buried_at >= $1)::integer as fresh,
       count(*)::integer as open, min(d.buried_at) as "oldestAt"
  from pipeline.dead_letter d left join pipeline.destination t on t.id = d.destination_id
 where d.replayed_at is null
 group by t.name, d.lane order by t.name nulls first, d.lane`;

/** Partitions: the segments of the window's days. */
const STORED = `
select coalesce(sum(entries), 0)::text as count from pipeline.inbox_segment
 where day >= ($1::timestamptz at time zone 'UTC')::date and appended_at >= $1`;

/** Partitions: the facts of the window's days; index: ledger_fact_at. An order counts once, however often it was sent. */
const ARRIVED = `
select t.kind,
       count(distinct (f.shop_id, f.subject_id, f.destination_id))::integer as accepted,
       count(distinct (f.shop_id, f.subject_id, f.destination_id))
         filter (where f.state = ${STATE_CODES.confirmed})::integer as confirmed
  from pipeline.ledger_fact f join pipeline.destination t on t.id = f.destination_id
 where f.day >= ($1::timestamptz at time zone 'UTC')::date and f.at >= $1 and f.kind = ${KIND_CODES.purchase}
   and f.state in (${STATE_CODES.accepted}, ${STATE_CODES.confirmed})
 group by t.kind order by t.kind`;

const DELIVERIES_WAITING = `
select t.name as destination, coalesce(w.backlog, 0) as backlog, w.oldest
  from pipeline.destination t
  left join (select destination_id, count(*)::integer as backlog, min(queued_at) as oldest
               from pipeline.delivery group by destination_id) w on w.destination_id = t.id
 order by t.name`;

/** Index: dead_letter_open. */
const DEAD_LETTERS_OPEN = `
select lane, count(*)::integer as open from pipeline.dead_letter where replayed_at is null group by lane`;

const HELD_OPEN = `
select reason, count(*)::integer as open from pipeline.held where released_at is null group by reason`;

const INBOX_UNREAD = `
select coalesce(sum(segment.entries), 0)::text as entries, min(segment.appended_at) as oldest
  from pipeline.inbox_stream stream
  join pipeline.inbox_segment segment
    on segment.stream_id = stream.id and segment.day >= stream.cursor_day and segment.seq > stream.cursor_seq
 where stream.closed_at is null`;

const TOTALS_WINDOW_MS = 3_600_000;

/** What people and later areas ask of the pipeline's tables. Reads only; every statement is short. */
export class PipelineQueries implements PipelineReader {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
  ) {}

  order(shopDomain: string, orderId: string): Promise<OrderView | null> {
    return readOrder(this.database, shopDomain, orderId);
  }

  async deadLetters(filter: DeadLetterFilter, page: PageRequest): Promise<Page<DeadLetterView>> {
    const rows = await this.database.rows<DeadLetterRow>(DEAD_LETTERS, [
      page.cursor ?? null,
      filter.shop ?? null,
      filter.destination ?? null,
      filter.lane ?? null,
      filter.reason ?? null,
      filter.from ?? null,
      filter.to ?? null,
      filter.state ?? 'open',
      page.limit + 1,
    ]);
    return pageOf(rows.map(deadLetterOf), page.limit);
  }

  async deadLetter(id: string): Promise<DeadLetterView | null> {
    const [row] = await this.database.rows<DeadLetterRow>(DEAD_LETTER, [id]);
    return row ? deadLetterOf(row) : null;
  }

  async deadLetterPayload(id: string): Promise<InboxEntry | null> {
    const [row] = await this.database.rows<{ payload: Buffer }>(DEAD_LETTER_PAYLOAD, [id]);
    // An empty payload is one that retention had dropped before the burial.
    if (!row || row.payload.length === 0) return null;
    const opened = openDeadLetter(row.payload, this.secrets, id);
    return 'unreadable' in opened ? null : opened;
  }

  async held(filter: { shop?: string; reason?: string }, page: PageRequest): Promise<Page<HeldView>> {
    const rows = await this.database.rows<HeldView & Record<string, unknown>>(HELD, [
      page.cursor ?? null,
      filter.shop ?? null,
      filter.reason ?? null,
      page.limit + 1,
    ]);
    return pageOf(rows, page.limit);
  }

  webhookOutcomes(filter: { shop?: string; from: Date; to: Date }): Promise<WebhookOutcomeView[]> {
    return this.database.rows<WebhookOutcomeView & Record<string, unknown>>(OUTCOMES, [
      filter.shop ?? null,
      filter.from,
      filter.to,
    ]);
  }

  lanes(destination?: string): Promise<LaneView[]> {
    return this.database.rows<LaneView & Record<string, unknown>>(LANES, [destination ?? null]);
  }

  attempts(sinceAt: Date): Promise<AttemptView[]> {
    return this.database.rows<AttemptView & Record<string, unknown>>(ATTEMPTS, [sinceAt]);
  }

  deadLetterCounts(sinceAt: Date): Promise<DeadLetterCount[]> {
    return this.database.rows<DeadLetterCount & Record<string, unknown>>(DEAD_LETTER_COUNTS, [sinceAt]);
  }

  inboxGaps(sinceAt: Date): Promise<InboxGapView[]> {
    return readInboxGaps(this.database, sinceAt);
  }

  async totals(): Promise<PipelineTotals> {
    const sinceAt = new Date(this.clock.nowMs() - TOTALS_WINDOW_MS);
    const [stored] = await this.database.rows<{ count: string }>(STORED, [sinceAt]);
    const arrived = await this.database.rows<{ kind: DestinationKind; accepted: number; confirmed: number }>(ARRIVED, [
      sinceAt,
    ]);
    const { deliveries, deadLetters, held } = await this.gauges();
    return {
      webhooksStored: Number(stored?.count ?? 0),
      orders: arrived.map(({ kind, accepted, confirmed }) => ({ destinationKind: kind, accepted, confirmed })),
      waiting: deliveries.reduce((sum, { backlog }) => sum + backlog, 0),
      deadLetters: {
        ours: deadLetters.find(({ lane }) => lane === 'ours')?.open ?? 0,
        theirs: deadLetters.find(({ lane }) => lane === 'theirs')?.open ?? 0,
      },
      held: held.reduce((sum, { open }) => sum + open, 0),
    };
  }

  /** For the scrape; one short statement a table. */
  async gauges(): Promise<GaugeReading> {
    const nowMs = this.clock.nowMs();
    const ageSeconds = (since: Date | null | undefined): number =>
      since ? Math.max(0, (nowMs - since.getTime()) / 1000) : 0;
    const [inbox] = await this.database.rows<{ entries: string; oldest: Date | null }>(INBOX_UNREAD);
    const waiting = await this.database.rows<{ destination: string; backlog: number; oldest: Date | null }>(
      DELIVERIES_WAITING,
    );
    const letters = await this.database.rows<{ lane: 'ours' | 'theirs'; open: number }>(DEAD_LETTERS_OPEN);
    const held = await this.database.rows<{ reason: string; open: number }>(HELD_OPEN);
    return {
      inbox: { backlogEntries: Number(inbox?.entries ?? 0), lagSeconds: ageSeconds(inbox?.oldest) },
      deliveries: waiting.map(({ destination, backlog, oldest }) => ({
        destination,
        backlog,
        ageSeconds: ageSeconds(oldest),
      })),
      // Both lanes always: a lane nobody has seen must read 0, not nothing.
      deadLetters: (['ours', 'theirs'] as const).map((lane) => ({
        lane,
        open: letters.find((row) => row.lane === lane)?.open ?? 0,
      })),
      held,
    };
  }
}

/** Rows of one more than the limit, as a page. Ids fall, so the last one shown is the cursor. */
function pageOf<Item extends { id: string }>(rows: Item[], limit: number): Page<Item> {
  const items = rows.slice(0, limit);
  return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
}

import { ManualClock } from '../../src/kernel/clock.js';
import type { Database } from '../../src/kernel/database.js';
import { ensurePartitions } from '../../src/kernel/partitions.js';
import { KIND_CODES, STATE_CODES, type Kind, type State } from '../../src/pipeline/contract.js';
import { pipelinePartitions } from '../../src/pipeline/partitions.js';

/** A row of the ledger; times are RFC 3339 and default to the day's midnight. */
export interface LedgerRow {
  shopId: string;
  subjectId: string;
  kind: Kind;
  destinationId: number;
  /** `YYYY-MM-DD` */
  ledgerDay: string;
  state: State;
  orderId?: string;
  reason?: string | null;
  version?: string;
  attempts?: number;
  dueAt?: string | null;
  soldAt?: string | null;
  seenAt?: string | null;
  occurredAt?: string;
  queuedAt?: string | null;
  acceptedAt?: string | null;
  confirmedAt?: string | null;
  updatedAt?: string;
}

/** Writes rows as if they had been planned and settled, without deliveries. */
export async function insertLedgerRows(database: Database, rows: readonly LedgerRow[]): Promise<void> {
  const midnight = (row: LedgerRow): string => `${row.ledgerDay}T00:00:00Z`;
  await database.query(
    `insert into pipeline.ledger (
       shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, attempts, due_at, sold_at,
       seen_at, occurred_at, queued_at, accepted_at, confirmed_at, updated_at, logged_at,
       segment_day, stream_id, segment_seq, entry)
     select i.*, occurred_at, day, 1, 1, 0
       from unnest($1::bigint[], $2::text[], $3::smallint[], $4::integer[], $5::date[], $6::text[], $7::bigint[],
                   $8::smallint[], $9::text[], $10::integer[], $11::timestamptz[], $12::timestamptz[],
                   $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[],
                   $18::timestamptz[])
         as i (shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason, attempts, due_at,
               sold_at, seen_at, occurred_at, queued_at, accepted_at, confirmed_at, updated_at)`,
    [
      rows.map((row) => row.shopId),
      rows.map((row) => row.subjectId),
      rows.map((row) => KIND_CODES[row.kind]),
      rows.map((row) => row.destinationId),
      rows.map((row) => row.ledgerDay),
      rows.map((row) => row.orderId ?? row.subjectId),
      rows.map((row) => row.version ?? '0'),
      rows.map((row) => STATE_CODES[row.state]),
      rows.map((row) => row.reason ?? null),
      rows.map((row) => row.attempts ?? 0),
      rows.map((row) => row.dueAt ?? null),
      rows.map((row) => row.soldAt ?? null),
      rows.map((row) => row.seenAt ?? null),
      rows.map((row) => row.occurredAt ?? midnight(row)),
      rows.map((row) => row.queuedAt ?? null),
      rows.map((row) => row.acceptedAt ?? null),
      rows.map((row) => row.confirmedAt ?? null),
      rows.map((row) => row.updatedAt ?? midnight(row)),
    ],
  );
}

/** The ledger's partitions of these days, as housekeeping makes them. */
export async function ledgerDays(database: Database, days: readonly string[]): Promise<void> {
  for (const day of days) await ensurePartitions(database, new ManualClock(Date.parse(day)), pipelinePartitions());
}

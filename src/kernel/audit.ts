import type { Clock } from './clock.js';

/** Whatever runs one statement: the pool, a client in a transaction, TypeORM's manager. */
export interface StatementRunner {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

export interface AuditEntry {
  /** Who: a token's name, `file` for the configuration file, `cli` … */
  actor: string;
  /** What: `shop.create`, `payload.view`, `dead-letter.replay`. */
  action: string;
  /** On what: a shop's domain, a destination's name, a dead letter's id. */
  subject: string;
  /** More about it. Never a secret, never personal data. */
  detail?: Readonly<Record<string, unknown>>;
}

const RECORD = `
insert into kernel.audit (at, actor, action, subject, detail) values ($1, $2, $3, $4, $5::jsonb)`;

/**
 * Invariant: the entry commits with what it tells of. Pass the transaction's own connection; entries are appended,
 * never changed (invariant 11).
 */
export async function recordAudit(transaction: StatementRunner, clock: Clock, entry: AuditEntry): Promise<void> {
  await transaction.query(RECORD, [
    clock.now(),
    entry.actor,
    entry.action,
    entry.subject,
    JSON.stringify(entry.detail ?? {}),
  ]);
}

export interface AuditRecord extends Required<AuditEntry> {
  /** bigint as a decimal string */
  id: string;
  at: Date;
}

const READ = `
select id::text, at, actor, action, subject, detail from kernel.audit
 where ($1::bigint is null or id < $1) order by id desc limit $2`;

/** Newest first, before `cursor`. */
export async function readAudit(
  database: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> },
  page: { limit: number; cursor?: string },
): Promise<{ items: AuditRecord[]; nextCursor: string | null }> {
  const { rows } = await database.query(READ, [page.cursor ?? null, page.limit + 1]);
  const items = (rows as AuditRecord[]).slice(0, page.limit);
  return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null };
}

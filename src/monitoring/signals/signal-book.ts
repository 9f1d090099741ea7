import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { World } from '../../pipeline/contract.js';
import type { Finding, SignalChange, SignalDesk, SignalFilter, SignalKind, SignalView } from '../contract.js';

// Serialises what is appended. Held to the end of the transaction, which is short.
const SIGNAL_LOCK = 0x504c0004;
const LOCK = `select pg_advisory_xact_lock($1, 0)`;

/** Index: signal_open. */
const OPEN_OF_KIND = `
select id::text as id, subject, facts from monitoring.signal
 where kind = $1 and closed_at is null and ($2::text is null or starts_with(subject, $2))`;

const OPEN = `
insert into monitoring.signal (kind, subject, shop_id, destination_id, world, facts, evidence, opened_at, updated_at)
values ($1, $2, $3, $4, $8, $5, $6, $7, $7) returning id::text as id`;

const UPDATE = `
update monitoring.signal set facts = $2, evidence = $3, updated_at = $4, updates = updates + 1 where id = $1`;

const CLOSE = `update monitoring.signal set facts = $2, updated_at = $3, closed_at = $3 where id = $1
returning evidence`;

const APPEND_CHANGE = `
insert into monitoring.signal_change (signal_id, at, change, facts, evidence) values ($1, $2, $3, $4, $5)`;

const SELECT = `
select s.id::text as id, s.kind, s.subject, s.shop_id::text as shop_id, s.destination_id, s.world,
       case when s.closed_at is null then 'open' else 'closed' end as state,
       s.facts, s.evidence, s.opened_at as "openedAt", s.updated_at as "updatedAt", s.closed_at as "closedAt", s.updates
  from monitoring.signal s`;

interface OpenRow extends Record<string, unknown> {
  id: string;
  subject: string;
  facts: Record<string, unknown>;
}

type SignalRow = Omit<SignalView, 'shop' | 'destination'> & {
  shop_id: string | null;
  destination_id: number | null;
} & Record<string, unknown>;

/** Names for ids: the registry's, given by the wiring, because a signal's table knows ids only. */
export interface Names {
  shopById(id: string): { domain: string; world: World } | undefined;
  shops(): readonly { id: string; domain: string }[];
  destinationById(id: number): { name: string; world: World } | undefined;
  destinations(): readonly { id: number; world: World }[];
}

/**
 * What is not as it should be, and since when.
 *
 * A look that finds the same thing again changes nothing; so any number of looks, and any number of processes, make one
 * open signal. Alerting pulls the changes by seq; nothing here knows who is told.
 */
export class SignalBook implements SignalDesk {
  constructor(private readonly deps: { database: Database; clock: Clock; log: Logger; names: Names }) {}

  /** Something is wrong: opens, or updates when its facts are others than before. */
  async report(finding: Finding): Promise<void> {
    await this.write(finding.kind, finding.subject, (open) => {
      const known = open.find(({ subject }) => subject === finding.subject);
      return { report: [finding], close: [], known: known ? [known] : [] };
    });
  }

  /** It is as it should be again. Nothing happens when nothing was open. @param facts added to what it said last */
  async close(kind: SignalKind, subject: string, facts: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.write(kind, subject, (open) => ({
      report: [],
      close: open.filter((row) => row.subject === subject).map((row) => ({ row, facts })),
      known: [],
    }));
  }

  /**
   * Everything that is wrong of one kind, within subjects that begin with `scope`: what is not among the findings is
   * closed, what is new is opened.
   *
   * @param scope `null` = the whole kind
   * @param closing facts added to what is closed
   */
  async replace(
    kind: SignalKind,
    scope: string | null,
    findings: readonly Finding[],
    closing: Readonly<Record<string, unknown>> = {},
  ): Promise<void> {
    const found = new Set(findings.map(({ subject }) => subject));
    await this.write(kind, scope, (open) => ({
      report: findings,
      close: open.filter(({ subject }) => !found.has(subject)).map((row) => ({ row, facts: closing })),
      known: open,
    }));
  }

  /** What is open of a kind, with what it said last. */
  async open(kind: SignalKind): Promise<{ subject: string; facts: Readonly<Record<string, unknown>> }[]> {
    const rows = await this.deps.database.rows<OpenRow>(OPEN_OF_KIND, [kind, null]);
    return rows.map(({ subject, facts }) => ({ subject, facts }));
  }

  async signals(
    filter: SignalFilter,
    page: { limit: number; cursor?: string },
  ): Promise<{ items: SignalView[]; nextCursor: string | null }> {
    const { names } = this.deps;
    const shopId = filter.shop === undefined ? null : (names.shops().find((s) => s.domain === filter.shop)?.id ?? '-1');
    const kinds = filter.kind === undefined ? filter.kinds : [filter.kind];
    // A table of signals knows ids only, so whose world they are is told to the query.
    const [shops, destinations] = filter.world === undefined ? [[], []] : [names.shops(), names.destinations()];
    const rows = await this.deps.database.rows<SignalRow>(
      `${SELECT}
  left join unnest($7::bigint[], $8::text[]) as of_shop (id, world) on of_shop.id = s.shop_id
  left join unnest($9::bigint[], $10::text[]) as of_destination (id, world) on of_destination.id = s.destination_id
 where ($1::text[] is null or s.kind = any($1)) and ($2::bigint is null or s.shop_id = $2)
   and ($3 = 'all' or (s.closed_at is null) = ($3 = 'open')) and ($4::bigint is null or s.id < $4)
   and ($6::text is null or coalesce(of_shop.world, of_destination.world, s.world, $6) = $6)
 order by s.id desc limit $5`,
      [
        kinds ?? null,
        shopId,
        filter.state ?? 'open',
        page.cursor ?? null,
        page.limit + 1,
        filter.world ?? null,
        shops.map(({ id }) => id),
        shops.map(({ id }) => names.shopById(id)?.world ?? null),
        destinations.map(({ id }) => id),
        destinations.map(({ world }) => world),
      ],
    );
    const items = rows.slice(0, page.limit).map((row) => this.viewOf(row));
    return { items, nextCursor: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null };
  }

  async changes(afterSeq: string, limit: number): Promise<SignalChange[]> {
    const rows = await this.deps.database.rows<
      SignalRow & { seq: string; at: Date; change: SignalChange['change']; then_facts: SignalView['facts'] }
    >(
      `select c.seq::text as seq, c.at, c.change, c.facts as then_facts, signal.*
  from monitoring.signal_change c cross join lateral (${SELECT} where s.id = c.signal_id) signal
 where c.seq > $1 order by c.seq limit $2`,
      [afterSeq, limit],
    );
    return rows.map((row) => ({
      seq: row.seq,
      at: row.at,
      change: row.change,
      signal: { ...this.viewOf(row), facts: row.then_facts },
    }));
  }

  private viewOf(row: SignalRow): SignalView {
    const { names } = this.deps;
    const shop = row.shop_id === null ? undefined : names.shopById(row.shop_id);
    const destination = row.destination_id === null ? undefined : names.destinationById(row.destination_id);
    return {
      id: row.id,
      kind: row.kind,
      subject: row.subject,
      shop: shop?.domain ?? null,
      destination: destination?.name ?? null,
      world: shop?.world ?? destination?.world ?? row.world,
      state: row.state,
      facts: row.facts,
      evidence: row.evidence,
      openedAt: row.openedAt,
      updatedAt: row.updatedAt,
      closedAt: row.closedAt,
      updates: row.updates,
    };
  }

  private async write(
    kind: SignalKind,
    scope: string | null,
    decide: (open: readonly OpenRow[]) => {
      report: readonly Finding[];
      known: readonly OpenRow[];
      close: readonly { row: OpenRow; facts: Readonly<Record<string, unknown>> }[];
    },
  ): Promise<void> {
    const { database, clock, log } = this.deps;
    // Mostly nothing has changed: a look without the lock tells that, and only then is there anything to wait for.
    if (!isChange(decide(await database.rows<OpenRow>(OPEN_OF_KIND, [kind, scope])))) return;
    await database.transaction(async (client) => {
      await client.query(LOCK, [SIGNAL_LOCK]);
      const { rows } = await client.query<OpenRow>(OPEN_OF_KIND, [kind, scope]);
      const { report, known, close } = decide(rows);
      const nowAt = clock.now();
      for (const finding of report) {
        const facts = JSON.stringify(finding.facts);
        const open = known.find(({ subject }) => subject === finding.subject);
        if (open && sameFacts(open.facts, finding.facts)) continue;
        let id = open?.id;
        if (id !== undefined) await client.query(UPDATE, [id, facts, finding.evidence, nowAt]);
        else {
          const opened = await client.query<{ id: string }>(OPEN, [
            kind,
            finding.subject,
            finding.shopId ?? null,
            finding.destinationId ?? null,
            facts,
            finding.evidence,
            nowAt,
            finding.world ?? null,
          ]);
          id = opened.rows[0]?.id;
        }
        const change = open ? 'updated' : 'opened';
        await client.query(APPEND_CHANGE, [id, nowAt, change, facts, finding.evidence]);
        log.warn({ signal: kind, subject: finding.subject, facts: finding.facts }, `signal ${change}`);
      }
      for (const { row, facts } of close) {
        const last = JSON.stringify({ ...row.facts, ...facts });
        const closed = await client.query<{ evidence: string }>(CLOSE, [row.id, last, nowAt]);
        await client.query(APPEND_CHANGE, [row.id, nowAt, 'closed', last, closed.rows[0]?.evidence ?? '']);
        log.info({ signal: kind, subject: row.subject, facts }, 'signal closed');
      }
    });
  }
}

function isChange({
  report,
  known,
  close,
}: {
  report: readonly Finding[];
  known: readonly OpenRow[];
  close: readonly unknown[];
}): boolean {
  if (close.length > 0) return true;
  return report.some((finding) => {
    const open = known.find(({ subject }) => subject === finding.subject);
    return !open || !sameFacts(open.facts, finding.facts);
  });
}

/** What was stored has lost its dates' type and the order of its keys. */
function sameFacts(stored: unknown, found: unknown): boolean {
  return canonical(stored) === canonical(JSON.parse(JSON.stringify(found)));
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(',')}}`;
}

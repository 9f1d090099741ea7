import pg from 'pg';

/** Lanes that hold the rows: four shops with two destinations each. */
const SHOPS = 4;
const DESTINATIONS = 2;

/**
 * Deliveries that are due, and the ledger's rows that they stand for, as the router would have written them: the
 * oldest first, one a millisecond.
 */
const FILL = `
with made as (
  select 1 + n % ${SHOPS} as shop_id, 1 + (n / ${SHOPS}) % ${DESTINATIONS} as destination_id,
         (7000000000000 + $3::bigint + n)::text as subject_id,
         $2::timestamptz + n * interval '1 millisecond' as due_at, n
    from generate_series(0, $1::integer - 1) as n
),
ledger as (
  insert into pipeline.ledger (shop_id, subject_id, kind, destination_id, day, order_id, version, state, occurred_at,
                               logged_at, queued_at, updated_at, segment_day, stream_id, segment_seq, entry)
  select shop_id, subject_id, 1, destination_id, current_date, subject_id, 0, 2, now(),
         now(), now(), now(), current_date, 1, 1, 0 from made
)
insert into pipeline.delivery (shop_id, destination_id, kind, subject_id, order_id, ledger_day, version, segment_day,
                               stream_id, segment_seq, entry, queued_at, due_at)
select shop_id, destination_id, 1, subject_id, subject_id, current_date, 0, current_date, 1, 1, 0, due_at, due_at
  from made order by n`;

/** The lines of one database. */
export class DeliveryLines {
  private subjects = 0;

  private constructor(private readonly client: pg.Client) {}

  static async open(databaseUrl: string): Promise<DeliveryLines> {
    const client = new pg.Client({ connectionString: databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    return new DeliveryLines(client);
  }

  /** @param firstDueAt an hour ago for what is due, tomorrow for what is not */
  async add(rows: number, firstDueAt: Date): Promise<void> {
    if (rows > 0) await this.client.query(FILL, [rows, firstDueAt, this.subjects]);
    this.subjects += rows;
  }

  /** Makes the number of due rows this many again. */
  async topUp(rows: number): Promise<void> {
    await this.client.query(`update pipeline.delivery set lease = null, due_at = queued_at where lease is not null`);
    const found = await this.client.query<{ count: string }>(
      'select count(*) from pipeline.delivery where due_at <= now()',
    );
    await this.add(rows - Number(found.rows[0]?.count), anHourAgo());
    await this.client.query('vacuum analyze pipeline.delivery');
    await this.client.query('analyze pipeline.ledger');
  }

  async empty(): Promise<void> {
    await this.client.query('truncate pipeline.delivery, pipeline.ledger, pipeline.ledger_fact, pipeline.lane');
  }

  /** Keeps everything that is alive now visible to itself, as a long report or a backup does. */
  async holdSnapshot(): Promise<void> {
    await this.client.query('begin isolation level repeatable read');
    await this.client.query('select count(*) from pipeline.lane');
  }

  async letGo(): Promise<void> {
    await this.client.query('rollback');
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

export function anHourAgo(): Date {
  return new Date(Date.now() - 3_600_000);
}

import type { Database } from '../../src/kernel/database.js';
import type { SecretBox } from '../../src/kernel/secrets.js';
import { KIND_CODES, STATE_CODES, type Kind, type State } from '../../src/pipeline/contract.js';
import { insertDeadLetter } from '../../src/pipeline/delivery/dead-letters.js';

const POINTER = { segmentDay: '2026-11-23', streamId: 1, segmentSeq: '1', entry: 0 };

/** A row of the ledger and its facts, as the router and the worker leave them. */
export async function addObligation(
  database: Database,
  row: {
    shop: string;
    destination: string;
    subjectId: string;
    orderId?: string;
    kind: Kind;
    state: State;
    reason?: string;
    at: Date;
    webhookId: string;
    facts: { state: State; reason?: string; attempt?: number }[];
    waiting?: boolean;
  },
): Promise<void> {
  const [ids] = await database.rows<{ shop_id: string; destination_id: number }>(
    `select s.id as shop_id, d.id as destination_id from pipeline.shop s, pipeline.destination d
      where s.domain = $1 and d.name = $2`,
    [row.shop, row.destination],
  );
  if (!ids) throw new Error('no such shop or destination');
  const key = [ids.shop_id, row.subjectId, KIND_CODES[row.kind], ids.destination_id];
  await database.query(
    `insert into pipeline.ledger (shop_id, subject_id, kind, destination_id, day, order_id, version, state, reason,
       occurred_at, logged_at, queued_at, accepted_at, updated_at, attempts, segment_day, stream_id, segment_seq, entry)
     values ($1, $2, $3, $4, '2026-11-23', $5, 0, $6::smallint, $7, $8, $8, $8, case when $6::smallint in (3, 4) then $8::timestamptz end,
       $8, 1, '2026-11-23', 1, 1, 0)`,
    [...key, row.orderId ?? row.subjectId, STATE_CODES[row.state], row.reason ?? null, row.at],
  );
  for (const [index, fact] of row.facts.entries()) {
    await database.query(
      `insert into pipeline.ledger_fact (shop_id, subject_id, kind, destination_id, day, at, version, state, reason,
         attempt, duration_ms, webhook_id)
       values ($1, $2, $3, $4, '2026-11-23', $5, 0, $6, $7, $8, $9, $10)`,
      [
        ...key,
        new Date(row.at.getTime() + index * 1000),
        STATE_CODES[fact.state],
        fact.reason ?? null,
        fact.attempt ?? null,
        fact.attempt === undefined ? null : 12,
        index === 0 ? row.webhookId : null,
      ],
    );
  }
  await database.query(
    `insert into pipeline.webhook (shop_id, webhook_id, week, topic, received_at, outcome, segment_day, stream_id,
       segment_seq, entry)
     values ($1, $2, '2026-11-23', 'orders/paid', $3, 'planned', '2026-11-23', 1, 1, 0) on conflict do nothing`,
    [ids.shop_id, row.webhookId, row.at],
  );
  if (!row.waiting) return;
  await database.query(
    `insert into pipeline.delivery (shop_id, destination_id, kind, subject_id, order_id, ledger_day, version,
       segment_day, stream_id, segment_seq, entry, queued_at, due_at)
     values ($1, $4, $3, $2, $2, '2026-11-23', 0, '2026-11-23', 1, 1, 0, $5, $6)`,
    [...key, row.at, new Date(row.at.getTime() + 60_000)],
  );
}

/** A dead letter with its payload, as the router buries one. @returns its id */
export async function addDeadLetter(
  database: Database,
  secrets: SecretBox,
  letter: { shop: string; body: string; lane: 'ours' | 'theirs'; reason: string; buriedAt: Date; orderId?: string },
): Promise<string> {
  const [shop] = await database.rows<{ id: string }>('select id from pipeline.shop where domain = $1', [letter.shop]);
  const [destination] = await database.rows<{ id: number }>('select id from pipeline.destination order by id limit 1');
  const shopId = shop?.id ?? '0';
  await database.transaction((client) =>
    insertDeadLetter(client, secrets, {
      shopId,
      settlement:
        letter.orderId === undefined
          ? null
          : {
              shopId,
              subjectId: letter.orderId,
              kind: 'purchase',
              destinationId: destination?.id ?? 0,
              ledgerDay: '2026-11-23',
              orderId: letter.orderId,
              version: '0',
              lease: '1',
              atRow: '(0,1)',
              state: 'failed',
              reason: letter.reason,
              detail: null,
              attempt: 9,
              durationMs: 5,
              at: letter.buriedAt,
              dueAt: null,
              queuedAt: letter.buriedAt,
              ...POINTER,
            },
      entry: {
        source: 'http',
        world: 'real',
        webhookId: `webhook-of-${letter.reason}`,
        topic: 'orders/paid',
        shopDomain: letter.shop,
        receivedAtMs: letter.buriedAt.getTime(),
        body: Buffer.from(letter.body),
      },
      lane: letter.lane,
      reason: letter.reason,
      detail: 'what the destination said',
      buriedAt: letter.buriedAt,
    }),
  );
  const [row] = await database.rows<{ id: string }>('select max(id)::text as id from pipeline.dead_letter');
  return row?.id ?? '';
}

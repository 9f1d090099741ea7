import type { Clock } from '../../kernel/clock.js';
import { storableText, type Database, type Queryable } from '../../kernel/database.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { SecretBox } from '../../kernel/secrets.js';
import {
  KIND_CODES,
  type DeadLetterReplay,
  type InboxEntry,
  type ReplayReport,
  type ReplayRequest,
} from '../contract.js';
import { SegmentUnreadable } from '../inbox/inbox-reader.js';
import { openSegment, sealSegment } from '../inbox/segment.js';
import { settle, type Settlement } from '../ledger/settlement.js';
import type { WebhookReader } from '../webhook-reader.js';

/** Who must act: the customer (credentials, a refused payload) or us (a bug, a case we do not handle). */
export type BurialLane = 'ours' | 'theirs';

const DEAD_LETTER_PURPOSE = 'dead-letter';

const INSERT = `
insert into pipeline.dead_letter (
  shop_id, shop_domain, destination_id, kind, subject_id, order_id, ledger_day, version, topic, webhook_id, lane,
  reason, detail, attempts, received_at, buried_at, payload)
values ($1, coalesce(nullif($2::text, ''), (select domain from pipeline.shop where id = $1), ''), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`;

/** Most that one call replays, so that a slip of the query stays small; call again for the next. */
const REPLAY_MAX = 1_000;

const ANSWER_AFTER_MS = 5_000;

const FIND = `
select d.shop_id, d.id, d.shop_domain, d.destination_id, t.name as destination, d.reason
  from pipeline.dead_letter d left join pipeline.destination t on t.id = d.destination_id
 where d.replayed_at is null and length(d.payload) > 0
   and ($1::bigint[] is null or d.id = any($1))
   and ($2::text is null or d.shop_domain = $2)
   and ($3::text is null or t.name = $3)
   and ($4::text is null or d.lane = $4)
   and ($5::text is null or d.reason = $5)
   and ($6::timestamptz is null or d.buried_at >= $6)
   and ($7::timestamptz is null or d.buried_at < $7)
 order by d.buried_at, d.id
 limit ${REPLAY_MAX}`;

/** One at a time: a thousand payloads at once could be a gigabyte. */
const PAYLOAD = 'select payload from pipeline.dead_letter where shop_id = $1 and id = $2 and replayed_at is null';

interface FoundRow extends Record<string, unknown> {
  shop_id: string;
  id: string;
  shop_domain: string;
  destination_id: number | null;
  destination: string | null;
  reason: string;
}

export interface DeadLetterDeps {
  database: Database;
  webhooks: WebhookReader;
  secrets: SecretBox;
  clock: Clock;
  log: Logger;
  /** Appends durably to the inbox; the only way back into the pipeline. */
  append: (entry: InboxEntry) => Promise<unknown>;
}

/**
 * What could not be delivered, with its payload, in two lanes. Replaying goes through the inbox again, so that a
 * replay meets the same rules as everything else: the same event id, the same dedupe, the ledger's own word on
 * whether there is still anything to do.
 */
export class DeadLetters implements DeadLetterReplay {
  constructor(private readonly deps: DeadLetterDeps) {}

  /** Ends an obligation for good: dead letter, ledger and queue in one commit (invariant 4). */
  async bury(settlement: Settlement, lane: BurialLane): Promise<void> {
    const entry = await this.payloadOf(settlement);
    await this.deps.database.transaction(async (client) => {
      await insertDeadLetter(client, this.deps.secrets, {
        shopId: settlement.shopId,
        settlement,
        entry,
        lane,
        reason: settlement.reason ?? 'unknown',
        detail: settlement.detail,
        buriedAt: settlement.at,
      });
      await settle(client, [settlement]);
    });
    this.deps.log.warn(
      {
        shop: entry?.shopDomain,
        kind: settlement.kind,
        subject: settlement.subjectId,
        destination: settlement.destinationId,
        lane,
        reason: settlement.reason,
      },
      'delivery buried as a dead letter',
    );
  }

  /** A payload that cannot be opened must not keep its delivery in the queue for ever. */
  private async payloadOf(settlement: Settlement): Promise<InboxEntry | null> {
    try {
      return await this.deps.webhooks.entry(settlement);
    } catch (error) {
      if (error instanceof SegmentUnreadable) return null;
      throw error;
    }
  }

  /**
   * Sends dead letters through the pipeline again.
   *
   * Once: each is marked replayed after its append, and the append carries an id derived from the letter, so that a
   * crash in between makes a repeat that the router recognises.
   */
  async replay(request: ReplayRequest): Promise<ReplayReport> {
    const query = request.query ?? {};
    const found = await this.deps.database.rows<FoundRow>(FIND, [
      request.ids ?? null,
      query.shop ?? null,
      query.destination ?? null,
      query.lane ?? null,
      query.reason ?? null,
      query.from ?? null,
      query.to ?? null,
    ]);
    const result: ReplayReport = {
      matched: found.length,
      replayed: 0,
      items: found.map((row) => ({
        id: row.id,
        shop: row.shop_domain,
        destination: row.destination,
        reason: row.reason,
      })),
    };
    if (request.dryRun) return result;
    const run = this.replayAll(found, result, request.ratePerSecond ? 1_000 / request.ratePerSecond : 0);
    run.catch((error: unknown) => {
      this.deps.log.error({ err: error, replayed: result.replayed }, 'replay stopped; the rest stays open');
    });
    // A slow rate outlives the request that asked for it; what has not gone yet stays open until its turn.
    const patience = new Promise<void>((resolve) => setTimeout(resolve, ANSWER_AFTER_MS).unref());
    await Promise.race([run, patience]);
    return { ...result };
  }

  private async replayAll(found: readonly FoundRow[], result: ReplayReport, paceMs: number): Promise<void> {
    for (const row of found) {
      const [letter] = await this.deps.database.rows<{ payload: Buffer }>(PAYLOAD, [row.shop_id, row.id]);
      if (!letter) continue; // replayed by somebody else meanwhile
      const entry = openDeadLetter(letter.payload, this.deps.secrets, row.id);
      if ('unreadable' in entry) {
        this.deps.log.error({ deadLetter: row.id, detail: entry.unreadable }, 'dead letter not readable; left open');
        continue;
      }
      await this.replayOne(row, entry);
      result.replayed += 1;
      if (paceMs > 0) await new Promise((resolve) => setTimeout(resolve, paceMs));
    }
  }

  private async replayOne(row: FoundRow, letter: InboxEntry): Promise<void> {
    const entry: InboxEntry = { ...letter, source: 'replay', webhookId: `replay:${row.id}` };
    if (row.destination_id !== null) entry.destinationId = row.destination_id;
    await this.deps.append(entry);
    await this.deps.database.query('update pipeline.dead_letter set replayed_at = $3 where shop_id = $1 and id = $2', [
      row.shop_id,
      row.id,
      this.deps.clock.now(),
    ]);
  }
}

export interface Burial {
  /** '0' = no shop could be told. */
  shopId: string;
  settlement: Settlement | null;
  /** `null` = retention has dropped the payload. */
  entry: InboxEntry | null;
  lane: BurialLane;
  reason: string;
  detail: string | null;
  buriedAt: Date;
}

export async function insertDeadLetter(client: Queryable, secrets: SecretBox, burial: Burial): Promise<void> {
  const { settlement, entry } = burial;
  await client.query(INSERT, [
    burial.shopId,
    entry?.shopDomain ?? '',
    settlement?.destinationId ?? null,
    settlement ? KIND_CODES[settlement.kind] : null,
    settlement?.subjectId ?? null,
    settlement?.orderId ?? null,
    settlement?.ledgerDay ?? null,
    settlement?.version ?? null,
    entry?.topic ?? '',
    entry?.webhookId ?? '',
    burial.lane,
    burial.reason,
    storableText(burial.detail),
    settlement?.attempt ?? 0,
    new Date(entry?.receivedAtMs ?? settlement?.queuedAt.getTime() ?? burial.buriedAt.getTime()),
    burial.buriedAt,
    entry ? sealSegment([entry], secrets, DEAD_LETTER_PURPOSE) : Buffer.alloc(0),
  ]);
}

/** For a person's eyes: what a letter holds. Every look is audited by the caller. */
export function openDeadLetter(payload: Buffer, secrets: SecretBox, id: string): InboxEntry | { unreadable: string } {
  try {
    return openSegment(payload, secrets, DEAD_LETTER_PURPOSE, `dead letter ${id}`).entry(0);
  } catch (error) {
    return { unreadable: messageOf(error) };
  }
}

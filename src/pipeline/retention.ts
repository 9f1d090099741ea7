import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import type { Logger } from '../kernel/log.js';
import { dropExpired, ensurePartitions } from '../kernel/partitions.js';
import type { InboxReader } from './inbox/inbox-reader.js';
import { PAYLOAD_DAYS, PAYLOAD_DAYS_MAX, pipelinePartitions } from './partitions.js';

const DAY_MS = 86_400_000;

const ERASE_DEAD_LETTERS = `
update pipeline.dead_letter set payload = ''::bytea where buried_at < $1 and length(payload) > 0`;
const ERASE_HELD = `delete from pipeline.held where held_at < $1`;
const FORGET_RELEASED = `delete from pipeline.held where released_at < $1`;

/**
 * Partitions for the days to come, and the end of what has been kept long enough: the inbox after 14 days, and
 * payloads kept longer for people - dead letters, held webhooks - after 28, whatever became of them.
 */
export async function keepHouse(
  database: Database,
  inbox: Pick<InboxReader, 'forgetClosed'>,
  clock: Clock,
  log: Logger,
): Promise<void> {
  const tables = pipelinePartitions(clock.nowMs());
  const created = await ensurePartitions(database, clock, tables, { log });
  const dropped = await dropExpired(database, clock, tables);
  const endedAt = new Date(clock.nowMs() - PAYLOAD_DAYS_MAX * DAY_MS);
  await inbox.forgetClosed(database, endedAt);
  const letters = await database.query(ERASE_DEAD_LETTERS, [endedAt]);
  const held = await database.query(ERASE_HELD, [endedAt]);
  await database.query(FORGET_RELEASED, [new Date(clock.nowMs() - PAYLOAD_DAYS * DAY_MS)]);
  if (created.length + dropped.length > 0) log.info({ created, dropped }, 'partitions');
  if ((letters.rowCount ?? 0) + (held.rowCount ?? 0) > 0) {
    log.warn({ deadLetters: letters.rowCount, held: held.rowCount }, 'payloads past 28 days erased');
  }
}

import { beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/kernel/clock.js';
import { ensurePartitions } from '../../../src/kernel/partitions.js';
import { pipelinePartitions } from '../../../src/pipeline/partitions.js';
import { recordWebhooks, weekOf, type WebhookRecord } from '../../../src/pipeline/router/webhook-record.js';
import { testDatabase } from '../../support/test-database.js';

const { database } = await testDatabase();
const DAY_MS = 86_400_000;
const MONDAY = Date.parse('2026-11-23T00:00:00Z');

beforeAll(async () => {
  for (const week of [0, 1, 2, 3]) {
    await ensurePartitions(database, new ManualClock(MONDAY + week * 7 * DAY_MS), pipelinePartitions());
  }
});

function record(webhookId: string, overrides: Partial<WebhookRecord> = {}): WebhookRecord {
  return {
    shopId: '1',
    webhookId,
    topic: 'orders/paid',
    receivedAtMs: MONDAY,
    outcome: 'planned',
    reason: null,
    subjectId: '6',
    pointer: { segmentDay: '2026-11-23', streamId: 1, segmentSeq: '1', entry: 0 },
    ...overrides,
  };
}

describe('the first arrival of a webhook id', () => {
  it.each([0, 1, 6, 7, 8, 13])('is remembered %i days later', async (days) => {
    const id = `later-${days}`;
    expect(await recordWebhooks(database, [record(id)], new Date(MONDAY + 3_600_000))).toEqual([0]);
    expect(await recordWebhooks(database, [record(id)], new Date(MONDAY + days * DAY_MS + 7_200_000))).toEqual([]);
    const rows = await database.rows('select repeats from pipeline.webhook where webhook_id = $1', [id]);
    expect(rows).toEqual([{ repeats: 1 }]);
  });

  it('is told within one batch, and between batches that run at the same time', async () => {
    const batch = [record('a'), record('b'), record('a'), record('c'), record('a')];
    const results = await Promise.all([1, 2, 3].map(() => recordWebhooks(database, batch, new Date(MONDAY))));
    expect(results.flat()).toHaveLength(3);
    const [row] = await database.rows<{ repeats: number }>(
      "select repeats from pipeline.webhook where webhook_id = 'a'",
    );
    expect(row?.repeats).toBe(8);
  });

  it('belongs to its shop: two shops may use one id', async () => {
    expect(
      await recordWebhooks(database, [record('shared'), record('shared', { shopId: '2' })], new Date(MONDAY)),
    ).toEqual([0, 1]);
  });

  it('knows its week by the Monday in UTC', () => {
    expect(weekOf(new Date('2026-11-22T23:59:59Z'))).toBe('2026-11-16');
    expect(weekOf(new Date('2026-11-23T00:00:00Z'))).toBe('2026-11-23');
  });
});

import { expect, it } from 'vitest';
import { Lane } from '../../../src/pipeline/delivery/lane.js';
import { claimDue } from '../../../src/pipeline/delivery/queue.js';
import { planObligations } from '../../../src/pipeline/ledger/ledger.js';
import { settle } from '../../../src/pipeline/ledger/settlement.js';
import { foldObligations } from '../../../src/pipeline/router/plan.js';
import { obligation, purchaseEvent } from '../../support/events.js';
import { testDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';

const { database } = await testDatabase();
const NOW = new Date('2026-11-23T10:00:02Z');

const update = (subjectId: string, version: string) =>
  obligation({ event: purchaseEvent({ kind: 'order-updated', subjectId, version }) });

const waitingForLocks = async (count: number) =>
  until(async () => {
    const rows = await database.rows(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rows.length >= count;
  });

it('a router that supersedes what a worker settles waits for it, and neither is thrown out', async () => {
  const [first, second] = ['9000000000001', '9000000000002'];
  await planObligations(database, foldObligations([update(first, '1'), update(second, '1')]), NOW);
  const claims = await claimDue(
    database,
    [{ lane: new Lane({ shopId: '1', destinationId: 1 }), most: 10 }],
    NOW.getTime(),
  );
  const claim = claims.find(({ subjectId }) => subjectId === first);
  if (!claim) throw new Error('nothing claimed');

  const holder = await database.pool.connect();
  await holder.query('begin');
  await holder.query('select from pipeline.ledger where subject_id = $1 for update', [second]);
  // Holds the ledger's first row and waits for the second.
  const planned = planObligations(database, foldObligations([update(first, '2'), update(second, '2')]), NOW);
  await waitingForLocks(1);
  const settled = settle(database, [
    { ...claim, state: 'accepted', reason: null, detail: null, attempt: 1, durationMs: 1, at: NOW, dueAt: null },
  ]);
  await waitingForLocks(2);
  await holder.query('commit');
  holder.release();
  await expect(Promise.all([planned, settled])).resolves.toHaveLength(2);
});

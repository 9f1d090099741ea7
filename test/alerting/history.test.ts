import { expect, it } from 'vitest';
import { alertWorld } from './alert-world.js';
import { removed } from './findings.js';

it('nobody edits what happened to an alert', async () => {
  const world = await alertWorld();
  await world.signals.report(removed(1));
  await world.settle();
  for (const sql of [
    `update alerting.alert_change set actor = 'nobody'`,
    'delete from alerting.alert_change',
    'truncate alerting.alert_change',
  ]) {
    await expect(world.database.query(sql)).rejects.toThrow(/alert_change is appended to, never changed/);
  }
});

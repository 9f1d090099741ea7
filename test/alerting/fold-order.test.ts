import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ruleNamed } from '../../src/alerting/catalogue.js';
import type { Database } from '../../src/kernel/database.js';
import type { Finding } from '../../src/monitoring/contract.js';
import { testDatabase } from '../support/test-database.js';
import { MINUTE, alertWorldOn, type AlertWorld } from './alert-world.js';
import { failing, fleetSilent, missing, refusing, removed, silent } from './findings.js';

/** What can be wrong, and how badly. */
const THINGS: readonly ((badly: number) => Finding)[] = [
  ...[1, 2, 3, 4].map((shop) => () => removed(shop)),
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((shop) => () => silent(shop)),
  ...[1, 2, 3].map((shop) => (badly: number) => failing(shop, 1 + (badly % 8))),
  ...[1, 2].map((number) => () => refusing(number)),
  ...[1, 2].map((shop) => (badly: number) => missing(shop, 1, badly + 1)),
  () => fleetSilent(),
];

/** One instant: what is found, by thing (`null` = it is over); then time passes. */
interface Step {
  found: Map<number, number | null>;
  passMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  found: fc
    .uniqueArray(fc.tuple(fc.nat({ max: THINGS.length - 1 }), fc.option(fc.nat({ max: 14 }), { freq: 3 })), {
      selector: ([thing]) => thing,
      maxLength: 12,
    })
    .map((pairs) => new Map(pairs)),
  passMs: fc.constantFrom(20_000, MINUTE, 3 * MINUTE, 12 * MINUTE),
});

let database: Database;
beforeAll(async () => {
  ({ database } = await testDatabase());
});

async function fresh(): Promise<AlertWorld> {
  await database.query(
    `alter table alerting.alert_change disable trigger never_emptied;
     truncate monitoring.signal, monitoring.signal_change, alerting.alert, alerting.alert_signal, alerting.alert_change,
              alerting.notification, alerting.cursor, alerting.silence restart identity cascade;
     alter table alerting.alert_change enable trigger never_emptied`,
  );
  return alertWorldOn(database);
}

interface Outcome {
  live: unknown[];
  told: string[];
  perAlert: {
    id: string;
    opened: number;
    told: number;
    resolved: number;
    state: string;
    page: boolean;
    muted: boolean;
  }[];
}

/** @param order in which the findings of an instant come @param one whether each is folded for itself */
async function live(steps: readonly Step[], order: (things: number[]) => number[], one: boolean): Promise<Outcome> {
  const world = await fresh();
  for (const { found, passMs } of steps) {
    for (const thing of order([...found.keys()])) {
      const badly = found.get(thing) ?? null;
      const finding = THINGS[thing]?.(badly ?? 0);
      if (!finding) continue;
      if (badly === null) await world.signals.close(finding.kind, finding.subject);
      else await world.signals.report(finding);
      if (one) await world.settle();
    }
    await world.settle();
    world.clock.advance(passMs);
    await world.settle();
  }
  for (let left = 0; left < 6; left++) {
    world.clock.advance(5 * MINUTE);
    await world.settle();
  }
  const { items } = await world.query.alerts({ state: 'all' }, { limit: 200 });
  const said = await database.rows<{ alert_id: string; reason: string; dedupe_key: string }>(
    'select alert_id::text, reason, dedupe_key from alerting.notification order by id',
  );
  const changes = await world.query.changes('0', 10_000);
  return {
    live: items
      .filter(({ state }) => state !== 'closed')
      .map(({ dedupeKey, state, severity, signals, shops, name, ...rest }) => ({
        dedupeKey,
        state,
        signals,
        shops,
        // How many shops there were at once, within one instant, depends on the order.
        severity: ruleNamed(name)?.severityOfMany ? null : severity,
        folded: rest.foldedInto !== null,
        inhibited: rest.inhibitedBy !== null,
      }))
      .sort((a, b) => (a.dedupeKey < b.dedupeKey ? -1 : 1)),
    told: [...new Set(said.filter(({ reason }) => reason === 'new').map(({ dedupe_key }) => dedupe_key))].sort(),
    perAlert: items.map((alert) => ({
      id: alert.id,
      opened: changes.filter(({ change, alert: of }) => change === 'opened' && of.id === alert.id).length,
      told: said.filter(({ reason, alert_id }) => reason === 'new' && alert_id === alert.id).length,
      resolved: said.filter(({ reason, alert_id }) => reason === 'resolved' && alert_id === alert.id).length,
      state: alert.state,
      page: alert.class === 'page',
      muted: alert.foldedInto !== null || alert.inhibitedBy !== null || alert.silencedBy !== null,
    })),
  };
}

describe('whatever the order of findings, and however they are batched', () => {
  // 77 once folded shops into an alert of many shops in one order, and not in another.
  it.each([2019, 77])(
    'the same alerts are left and the same keys were told; each page once, each end once, and only to who was told (seed %d)',
    async (seed) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), fc.boolean(), async (steps, backwards) => {
          const straight = await live(steps, (things) => things, true);
          const other = await live(steps, (things) => (backwards ? things.reverse() : things), false);
          expect(other.live).toEqual(straight.live);
          expect(other.told).toEqual(straight.told);
          for (const { perAlert } of [straight, other]) {
            for (const alert of perAlert) {
              expect(alert.opened).toBeLessThanOrEqual(1);
              expect(alert.told).toBeLessThanOrEqual(1);
              expect(alert.resolved).toBe(alert.state === 'closed' ? alert.told : 0);
              if (alert.page && alert.state === 'open' && !alert.muted) expect(alert.told).toBe(1);
            }
          }
        }),
        { numRuns: 8, seed, endOnFailure: true },
      );
    },
    180_000,
  );
});

import type { AlertRule } from '../catalogue.js';
import { PLAIN, countOf, counted, since, timeOf, wordOf } from './reading.js';

const MINUTE_MS = 60_000;

/** Whether orders arrive, and whether that is proved. */
export const ORDER_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'orders-missing',
    kind: 'order-missing',
    noData: 'opens',
    class: 'page',
    route: 'orders',
    // Ten, or one that cannot be brought back by us, is the worst there is.
    severity: (seen) => (countOf(seen, 'orders') >= 10 || countOf(seen, 'givenUp') > 0 ? 1 : 2),
    forMs: 0,
    key: ({ shop, destination, subject }) => `shop:${shop ?? subject}/${destination ?? 'any'}:order-missing`,
    cause: () => 'fleet:orders:order-missing',
    runbook: 'order-missing',
    summary: (seen) => {
      const givenUp = countOf(seen, 'givenUp');
      const lost = givenUp > 0 ? `; ${givenUp} cannot be brought in by Plumbline` : '; being brought in again';
      const what = counted(countOf(seen, 'orders'), 'order');
      return `${what} of ${seen.shop ?? seen.subject} missing at ${seen.destination ?? 'a destination'}, the oldest sold ${timeOf(seen, 'oldestSoldAt') ?? 'at a time not known'}${lost}`;
    },
    firing: [
      { facts: { orders: 3, givenUp: 0, oldestSoldAt: '2026-11-27T08:00:00.000Z' } },
      { facts: { orders: 1, givenUp: 1 } },
    ],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'inbox-gap',
    kind: 'inbox-gap',
    noData: 'opens',
    class: 'page',
    route: 'orders',
    severity: () => 1,
    forMs: 0,
    key: ({ subject }) => `inbox:${subject}:gap`,
    runbook: 'inbox-gap',
    summary: (seen) =>
      `${counted(countOf(seen, 'segments'), 'piece')} of the inbox gone before anybody read them: orders stored between ${timeOf(seen, 'storedAfter') ?? 'a time not known'} and ${timeOf(seen, 'storedBefore') ?? 'now'} may be lost; reconcile that window`,
    firing: [{ facts: { segments: 2 } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'store-silent',
    kind: 'store-silent',
    when: ({ shop }) => shop !== null,
    class: 'page',
    severity: (seen) => (countOf(seen, 'expectedAtLeast') >= 20 ? 2 : 3),
    severityOfMany: (shops) => (shops >= 3 ? 2 : null),
    forMs: 2 * MINUTE_MS,
    inhibitedBy: [
      { by: 'fleet-silent', equal: [] },
      { by: 'subscription-removed', equal: ['shop'] },
    ],
    key: ({ shop, subject }) => `shop:${shop ?? subject}:silent`,
    cause: () => 'fleet:shops:silent',
    collapses: true,
    runbook: 'store-silent',
    summary: (seen) =>
      `${seen.shop ?? seen.subject} sends nothing${since(seen, 'lastOrderAt')}; at least ${counted(countOf(seen, 'expectedAtLeast'), 'order')} would have come by now`,
    summaryOfMany: ({ shops }) => `${shops} shops send nothing where orders would have come by now`,
    firing: [{ facts: { expectedAtLeast: 10, lastOrderAt: '2026-11-27T08:00:00.000Z' } }],
    quiet: [{ subject: 'fleet', shop: null, facts: { nothingArrives: true } }],
  },
  {
    ...PLAIN,
    name: 'fleet-silent',
    kind: 'store-silent',
    when: ({ shop }) => shop === null,
    noData: 'opens',
    class: 'page',
    severity: () => 1,
    forMs: 0,
    key: () => 'fleet:all:silent',
    runbook: 'store-silent',
    summary: (seen) =>
      seen.facts['nothingArrives'] === true
        ? `No orders arrive from any shop${since(seen, 'lastOrderAt')}`
        : `At least ${countOf(seen, 'silentShopsAtLeast')} of ${countOf(seen, 'shops')} shops are silent at once`,
    firing: [
      { subject: 'fleet', shop: null, facts: { nothingArrives: true, lastOrderAt: '2026-11-27T08:00:00.000Z' } },
      { subject: 'fleet', shop: null, facts: { nothingArrives: false, silentShopsAtLeast: 50, shops: 80 } },
    ],
    quiet: [{ facts: { expectedAtLeast: 10 } }],
  },
  {
    ...PLAIN,
    name: 'reconciliation-stale',
    kind: 'reconciliation-stale',
    when: ({ shop }) => shop === null,
    noData: 'opens',
    class: 'page',
    severity: () => 2,
    forMs: 0,
    key: () => 'fleet:proof:stale',
    runbook: 'reconciliation-stale',
    summary: (seen) =>
      `Nothing is proved of at least ${countOf(seen, 'shopsAtLeast')} shops for over two hours: whether orders are missing is not known`,
    firing: [{ subject: 'fleet', shop: null, facts: { shopsAtLeast: 20 } }],
    quiet: [{ facts: { provedUntilAt: '2026-11-27T08:00:00.000Z' } }],
  },
  {
    ...PLAIN,
    name: 'shop-unproved',
    kind: 'reconciliation-stale',
    when: ({ shop }) => shop !== null,
    class: 'ticket',
    severity: () => 3,
    forMs: 15 * MINUTE_MS,
    inhibitedBy: [{ by: 'reconciliation-stale', equal: [] }],
    key: ({ shop, subject }) => `shop:${shop ?? subject}:unproved`,
    cause: () => 'fleet:shops:unproved',
    collapses: true,
    runbook: 'reconciliation-stale',
    summary: (seen) => {
      const why = wordOf(seen, 'why');
      return `${seen.shop ?? seen.subject} is not proved${since(seen, 'provedUntilAt')}${why === null ? '' : `: ${why}`}`;
    },
    summaryOfMany: ({ shops }) => `${shops} shops are not proved for over two hours`,
    firing: [{ facts: { provedUntilAt: '2026-11-27T08:00:00.000Z' } }],
    quiet: [{ subject: 'fleet', shop: null, facts: { shopsAtLeast: 20 } }],
  },
  {
    ...PLAIN,
    name: 'reconciliation-partial',
    kind: 'reconciliation-partial',
    class: 'ticket',
    severity: () => 3,
    severityOfMany: (shops) => (shops >= 20 ? 2 : null),
    forMs: 15 * MINUTE_MS,
    inhibitedBy: [{ by: 'reconciliation-stale', equal: [] }],
    key: ({ shop, subject }) => `shop:${shop ?? subject}:reconciliation-partial`,
    cause: () => 'fleet:shops:reconciliation-partial',
    collapses: true,
    runbook: 'reconciliation-partial',
    summary: (seen) =>
      `A reconciliation of ${seen.shop ?? seen.subject} could not look at everything: ${wordOf(seen, 'detail') ?? wordOf(seen, 'state') ?? 'reason not known'}`,
    summaryOfMany: ({ shops }) => `Reconciliations of ${shops} shops could not look at everything`,
    firing: [{ facts: { state: 'partial', detail: 'Shopify refused the token' } }],
    quiet: [],
  },
];

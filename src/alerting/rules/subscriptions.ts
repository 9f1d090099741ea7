import type { AlertRule } from '../catalogue.js';
import { PLAIN, countOf, counted, since, wordOf } from './reading.js';

const MINUTE_MS = 60_000;

/** Of eight failures in a row. From four on somebody must act now; from six on it is as good as gone. */
const COUNTDOWN_PAGE = 4;
const COUNTDOWN_LAST = 6;

const topicOf = (seen: Parameters<typeof wordOf>[0] & { subject: string }): string =>
  wordOf(seen, 'topic') ?? seen.subject.slice(seen.subject.indexOf('/') + 1);

const isOrderTopic = (topic: string): boolean => topic.startsWith('orders/') || topic.startsWith('refunds/');

/** Whether Shopify sends. */
export const SUBSCRIPTION_RULES: readonly AlertRule[] = [
  {
    ...PLAIN,
    name: 'subscription-removed',
    kind: 'subscription-removed',
    noData: 'opens',
    class: 'page',
    route: 'removed',
    severity: () => 2,
    severityOfMany: (shops) => (shops >= 3 ? 1 : null),
    forMs: 0,
    key: (seen) => `shop:${seen.shop ?? seen.subject}/${topicOf(seen)}:subscription-removed`,
    cause: () => 'fleet:subscriptions:removed',
    runbook: 'subscription-removed',
    summary: (seen) => {
      const topic = topicOf(seen);
      const made = wordOf(seen, 'recreatedAt');
      const then =
        made === null
          ? 'it is not there again'
          : 'it is there again, and what was missed meanwhile is not proved to be in';
      const what = isOrderTopic(topic) ? 'no orders arrive by it' : 'nothing arrives by it';
      return `Shopify removed ${topic} of ${seen.shop ?? seen.subject}${since(seen, 'goneSince')}: ${what}; ${then}`;
    },
    firing: [{ subject: 'acme.myshopify.com/orders/paid', facts: { topic: 'orders/paid' } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'subscription-countdown',
    kind: 'subscription-countdown',
    when: (seen) => countOf(seen, 'failuresInRow') >= COUNTDOWN_PAGE,
    class: 'page',
    severity: (seen) => (countOf(seen, 'failuresInRow') >= COUNTDOWN_LAST ? 1 : 2),
    forMs: 15_000,
    inhibitedBy: [{ by: 'subscription-removed', equal: ['shop'] }],
    key: (seen) => `shop:${seen.shop ?? seen.subject}/${topicOf(seen)}:subscription-countdown`,
    cause: () => 'fleet:subscriptions:countdown',
    collapses: true,
    runbook: 'subscription-countdown',
    summary: (seen) =>
      `${countOf(seen, 'failuresInRow')} of 8 answers in a row to ${topicOf(seen)} of ${seen.shop ?? seen.subject} failed${since(seen, 'since')}; Shopify removes or gives up after ${counted(countOf(seen, 'left'), 'more failure')}`,
    summaryOfMany: ({ shops }) =>
      `Our answers to Shopify fail in ${shops} shops, four or more in a row: their subscriptions are about to be removed`,
    firing: [
      { subject: 'acme.myshopify.com/orders/paid', facts: { topic: 'orders/paid', failuresInRow: 4, left: 4 } },
      { subject: 'acme.myshopify.com/orders/paid', facts: { topic: 'orders/paid', failuresInRow: 8, left: 0 } },
    ],
    quiet: [{ subject: 'acme.myshopify.com/orders/paid', facts: { topic: 'orders/paid', failuresInRow: 3, left: 5 } }],
  },
  {
    ...PLAIN,
    // The daily "failing" of 2019: hundreds of them are one ticket.
    name: 'subscription-failing',
    kind: 'subscription-countdown',
    when: (seen) => countOf(seen, 'failuresInRow') < COUNTDOWN_PAGE,
    class: 'ticket',
    severity: () => 4,
    forMs: MINUTE_MS,
    inhibitedBy: [{ by: 'fleet-silent', equal: [] }],
    key: () => 'fleet:subscriptions:failing',
    gathers: true,
    runbook: 'subscription-countdown',
    summary: (seen) =>
      `${counted(countOf(seen, 'failuresInRow'), 'answer')} in a row to ${topicOf(seen)} of ${seen.shop ?? seen.subject} failed, of the 8 that Shopify takes`,
    summaryOfMany: ({ signals, shops }) =>
      `${counted(signals, 'topic')} of ${counted(shops, 'shop')} were answered otherwise than 2xx at least once, and less than four times in a row`,
    firing: [{ subject: 'acme.myshopify.com/orders/paid', facts: { topic: 'orders/paid', failuresInRow: 2, left: 6 } }],
    quiet: [{ subject: 'acme.myshopify.com/orders/paid', facts: { topic: 'orders/paid', failuresInRow: 4, left: 4 } }],
  },
  {
    ...PLAIN,
    name: 'subscription-wrong',
    kind: 'subscription-wrong',
    class: 'ticket',
    severity: () => 3,
    forMs: 5 * MINUTE_MS,
    inhibitedBy: [{ by: 'subscription-removed', equal: ['shop'] }],
    key: (seen) => `shop:${seen.subject}:subscription-wrong`,
    cause: () => 'fleet:subscriptions:wrong',
    collapses: true,
    runbook: 'subscription-wrong',
    summary: (seen) => {
      const { findings } = seen.facts;
      const first: unknown = Array.isArray(findings) ? findings[0] : undefined;
      const detail =
        typeof first === 'object' && first !== null && 'detail' in first && typeof first.detail === 'string'
          ? `: ${first.detail}`
          : '';
      return `A subscription of ${seen.shop ?? seen.subject} is not as it should be (${topicOf(seen)})${detail}`;
    },
    summaryOfMany: ({ shops }) => `Subscriptions of ${shops} shops are not as they should be`,
    firing: [
      {
        subject: 'acme.myshopify.com/orders/paid',
        facts: { topic: 'orders/paid', findings: [{ kind: 'wrong-address', detail: 'it sends to elsewhere.example' }] },
      },
    ],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'subscription-unknown',
    kind: 'subscription-unknown',
    class: 'ticket',
    severity: () => 3,
    severityOfMany: (shops) => (shops >= 20 ? 2 : null),
    forMs: 10 * MINUTE_MS,
    key: ({ shop, subject }) => `shop:${shop ?? subject}:subscription-unknown`,
    cause: () => 'fleet:subscriptions:unknown',
    collapses: true,
    runbook: 'subscription-unknown',
    summary: (seen) =>
      `The subscriptions of ${seen.shop ?? seen.subject} cannot be looked at${since(seen, 'since')}: ${wordOf(seen, 'reason') ?? 'reason not known'}`,
    summaryOfMany: ({ shops }) => `The subscriptions of ${shops} shops cannot be looked at`,
    firing: [{ facts: { reason: 'the token is refused', since: '2026-11-27T08:00:00.000Z' } }],
    quiet: [],
  },
  {
    ...PLAIN,
    name: 'notice-unclassified',
    kind: 'notice-unclassified',
    class: 'ticket',
    severity: () => 4,
    forMs: MINUTE_MS,
    key: () => 'shopify:notices:unclassified',
    gathers: true,
    runbook: 'notice-unclassified',
    summary: (seen) =>
      `${counted(countOf(seen, 'notices'), 'mail')} of Shopify that nobody has taught Plumbline to read${since(seen, 'sinceAt')}`,
    summaryOfMany: ({ signals }) =>
      `Mails of Shopify that nobody has taught Plumbline to read, about ${counted(signals, 'shop')}`,
    firing: [{ facts: { notices: 2, sinceAt: '2026-11-27T08:00:00.000Z', hasRemoval: false } }],
    quiet: [],
  },
];

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOurs, shownAddress, wantedUri } from '../../../src/monitoring/subscriptions/address.js';
import {
  planTopics,
  type Action,
  type ListedSubscription,
  type Wanted,
} from '../../../src/monitoring/subscriptions/plan.js';
import { listableTopics, topicEnum } from '../../../src/monitoring/subscriptions/topics.js';

const address = { base: 'https://hooks.example.com/plumb', key: 'k3y' };
const uri = wantedUri(address);
const wantedOf = (topics: readonly string[]): Wanted => ({ topics, uri, address, apiVersion: '2026-10' });

const listed = (change: Partial<ListedSubscription> = {}): ListedSubscription => ({
  id: 'gid://1',
  topic: 'ORDERS_PAID',
  uri,
  filter: null,
  format: 'JSON',
  includeFields: [],
  apiVersion: '2026-10',
  createdAt: new Date(0),
  ...change,
});

describe('an address', () => {
  it.each([
    ['https://hooks.example.com/plumb/webhooks/shopify/k3y', true],
    ['https://HOOKS.example.com:443/plumb/webhooks/shopify/k3y', true],
    ['https://hooks.example.com/plumb/webhooks/shopify', true],
    ['https://hooks.example.com/plumb/webhooks/shopify/another', true],
    ['https://elsewhere.example.org/webhooks/shopify/k3y', true],
    ['https://hooks.example.com/webhooks/shopify', false],
    ['https://hooks.example.com/plumb/webhooks/shopify-legacy', false],
    ['https://hooks.example.com/plumb', false],
    ['https://elsewhere.example.org/webhooks/shopify/another', false],
    ['https://elsewhere.example.org/?next=/webhooks/shopify/k3y', false],
    ['https://elsewhere.example.org/webhooks/shopify/k3y/more', false],
    ['pubsub://project:webhooks/shopify/k3y', false],
    ['arn:aws:events:eu-west-1::event-source/aws.partner/shopify.com/1/k3y', false],
    ['', false],
  ])('%s is ours: %s', (one, ours) => {
    expect(isOurs(one, address)).toBe(ours);
  });

  it('is shown without what follows a question mark', () => {
    expect(shownAddress('https://u:p@a.example/b?token=1#x')).toBe('https://a.example/b?…');
    expect(shownAddress('pubsub://project:topic')).toBe('pubsub://project:topic');
  });

  it('is the same however the base ends', () => {
    expect(wantedUri({ base: 'https://a.example/', key: 'k' })).toBe('https://a.example/webhooks/shopify/k');
  });
});

describe('a topic', () => {
  it.each([
    ['orders/create', 'ORDERS_CREATE'],
    ['subscription_billing_attempts/success', 'SUBSCRIPTION_BILLING_ATTEMPTS_SUCCESS'],
    ['customer.tags_added', 'CUSTOMER_TAGS_ADDED'],
  ])('%s is %s to GraphQL', (topic, name) => {
    expect(topicEnum(topic)).toBe(name);
  });

  it('is wanted once, and never when it is one of compliance', () => {
    const topics = ['orders/paid', 'orders/paid', 'customers/data_request', 'customers/redact', 'shop/redact'];
    expect(listableTopics(topics)).toEqual(['orders/paid']);
  });
});

const XML = { format: 'XML' };
const FILTERED = { filter: 'a:b' };
const CUT = { includeFields: ['id'] };
const create: Action = { act: 'create', uri };
const move = (id = 'gid://1'): Action => ({ act: 'move', id, uri });
const drop = (id: string): Action => ({ act: 'delete', id });
const keyless = `${address.base}/webhooks/shopify`;

describe('what is found of a topic, and what mends it', () => {
  it.each<[string, ListedSubscription[], boolean, [string, Action[] | null][]]>([
    ['as wanted', [listed()], true, []],
    ['never here', [], false, [['missing', [create]]]],
    ['gone', [], true, [['removed', [create]]]],
    ['only somebody else’s', [listed({ uri: 'https://x.example/' })], true, [['removed', [create]]]],
    [
      'another topic only',
      [listed({ topic: 'ORDERS_CREATE' })],
      true,
      [
        ['removed', [create]],
        ['unwanted', null],
      ],
    ],
    ['elsewhere', [listed({ uri: keyless })], true, [['wrong-address', [move()]]]],
    ['in XML', [listed(XML)], true, [['wrong-format', [move()]]]],
    ['of another version', [listed({ apiVersion: '2026-07' })], true, [['wrong-version', null]]],
    ['with a filter', [listed(FILTERED)], true, [['filter', null]]],
    ['with an empty filter', [listed({ filter: '' })], true, []],
    ['cut down', [listed(CUT)], true, [['fields', null]]],
    ['twice', [listed(), listed({ id: 'gid://2', uri: keyless })], true, [['duplicate', [drop('gid://2')]]]],
    [
      'twice, both elsewhere: the older is moved',
      [listed({ id: 'gid://2', uri: keyless, createdAt: new Date(1) }), listed({ uri: `${keyless}/old` })],
      true,
      [
        ['wrong-address', [move()]],
        ['duplicate', [drop('gid://2')]],
      ],
    ],
    [
      'twice, the younger without a filter: that one stays',
      [listed({ uri: keyless, ...FILTERED }), listed({ id: 'gid://2', uri: `${keyless}/x`, createdAt: new Date(1) })],
      true,
      [
        ['wrong-address', [move('gid://2')]],
        ['duplicate', [drop('gid://1')]],
      ],
    ],
    [
      'twice, the right one with a filter: a person must choose',
      [listed(FILTERED), listed({ id: 'gid://2', uri: keyless })],
      true,
      [
        ['filter', null],
        ['duplicate', null],
      ],
    ],
  ])('%s', (_what, items, seen, found) => {
    const plans = planTopics(wantedOf(['orders/paid']), items, () => seen);
    const findings = plans.flatMap((plan) => plan.findings);
    expect(findings.map(({ kind, mend }) => [kind, mend])).toEqual(found);
    expect(findings.every(({ detail }) => detail.length > 10)).toBe(true);
  });

  it('quotes no secret of an address', () => {
    const [plan] = planTopics(wantedOf(['orders/paid']), [listed({ uri: `${keyless}?token=s3cret` })], () => true);
    expect(JSON.stringify(plan?.findings)).not.toContain('s3cret');
  });
});

/** What Shopify would have after the plan. It refuses a second one of the same topic and address. */
function carryOut(
  before: readonly ListedSubscription[],
  topic: string,
  actions: readonly Action[],
): ListedSubscription[] {
  let after = [...before];
  const refuseTaken = (name: string, to: string, but?: string) => {
    const taken = after.some((one) => one.topic === name && one.uri === to && one.id !== but);
    if (taken) throw new Error(`Address for this topic has already been taken: ${name} ${to}`);
  };
  for (const action of actions) {
    if (action.act === 'create') {
      refuseTaken(topicEnum(topic), action.uri);
      after.push(listed({ id: `gid://new-${after.length}`, topic: topicEnum(topic), uri: action.uri }));
    } else if (action.act === 'move') {
      const found = after.find(({ id }) => id === action.id);
      refuseTaken(found?.topic ?? '', action.uri, action.id);
      after = after.map((one) => (one.id === action.id ? { ...one, uri: action.uri, format: 'JSON' } : one));
    } else after = after.filter(({ id }) => id !== action.id);
  }
  return after;
}

const TOPICS = ['orders/create', 'orders/paid', 'refunds/create', 'customers/create'];
const URIS = [
  uri,
  keyless,
  `${keyless}/another`,
  'https://old.example.com/webhooks/shopify/k3y',
  'https://elsewhere.example.org/hook',
  'pubsub://project:topic',
];
const anything = fc.record({
  topics: fc.uniqueArray(fc.constantFrom(...TOPICS), { minLength: 1 }),
  seen: fc.boolean(),
  actual: fc
    .uniqueArray(
      fc.record({
        topic: fc.constantFrom(...TOPICS, 'products/update').map(topicEnum),
        uri: fc.constantFrom(...URIS),
        filter: fc.option(fc.constantFrom('', 'a:b')),
        format: fc.constantFrom('JSON', 'XML'),
        includeFields: fc.constantFrom([], [], ['id'], ['id', 'updated_at']),
        apiVersion: fc.constantFrom('2026-10', '2026-07'),
        createdAt: fc.integer({ min: 0, max: 3 }).map((ms) => new Date(ms)),
      }),
      { selector: (one) => `${one.topic} ${one.uri}`, maxLength: 20 },
    )
    .map((some) => some.map((one, index): ListedSubscription => ({ ...one, id: `gid://${index}` }))),
});

describe('any plan', () => {
  it('makes what is there what is wanted, touches nobody else’s, and finds nothing more to do', () => {
    fc.assert(
      fc.property(anything, ({ topics, seen, actual }) => {
        const wanted = wantedOf(topics);
        const plans = planTopics(wanted, actual, () => seen);
        const after = plans.reduce(
          (some, { topic, findings }) => {
            const actions = new Map(
              findings.flatMap(({ mend }) => mend ?? []).map((one) => [JSON.stringify(one), one]),
            );
            return carryOut(some, topic, [...actions.values()]);
          },
          [...actual],
        );
        for (const topic of topics) {
          const ours = after.filter((one) => one.topic === topicEnum(topic) && isOurs(one.uri, address));
          const right = ours.filter((one) => one.uri === uri && one.format === 'JSON');
          expect(right).toHaveLength(1);
          const swallows = right.some(
            ({ filter, includeFields: fields }) =>
              (filter ?? '') !== '' || (fields.length > 0 && !fields.includes('updated_at')),
          );
          if (!swallows) expect(ours).toHaveLength(1);
        }
        const untouched = (some: readonly ListedSubscription[]) =>
          some.filter((one) => !isOurs(one.uri, address) || !topics.map(topicEnum).includes(one.topic));
        expect(untouched(after)).toEqual(untouched(actual));
        const again = planTopics(wanted, after, () => true);
        expect(again.flatMap(({ findings }) => findings.filter(({ mend }) => mend !== null))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the same for two who look at the same time, in whatever order they are told', () => {
    fc.assert(
      fc.property(anything, ({ topics, seen, actual }) => {
        const plan = (some: readonly ListedSubscription[]) =>
          planTopics(wantedOf(topics), some, () => seen).flatMap(({ topic, kept, findings }) =>
            kept !== null && findings[0]?.kind === 'unwanted' ? [] : [{ topic, kept, findings }],
          );
        expect(plan(actual.toReversed())).toEqual(plan(actual));
      }),
    );
  });
});

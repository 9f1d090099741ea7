import { z } from 'zod';
import { KIND_CODES, STATE_CODES, type Kind, type State } from '../pipeline/contract.js';

/** Shapes that several endpoints share. Instants are Dates inside and RFC 3339 UTC outside. */

const keysOf = <Key extends string>(codes: Record<Key, unknown>): [Key, ...Key[]] =>
  Object.keys(codes) as [Key, ...Key[]];

/** A Date here; JSON.stringify makes it RFC 3339 UTC. */
export const instant = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });
export const instantOrNull = instant.nullable();
export const id = z.string().regex(/^\d{1,18}$/, 'expected an id: digits');
export const domain = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9][a-z0-9.-]{0,252}$/, 'expected a domain like acme.myshopify.com');
export const destinationName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected the name of a destination');
export const kind = z.enum(keysOf<Kind>(KIND_CODES));
export const state = z.enum(keysOf<State>(STATE_CODES));
export const lane = z.enum(['ours', 'theirs'], 'expected ours or theirs');
export const world = z.enum(['real', 'sandbox']);
export const origin = z.enum(['file', 'api']);
export const destinationKind = z.enum(['ga4', 'segment', 'postgres', 'webhook']);

/** A given instant, in a query or a body. */
export const givenInstant = z.iso
  .datetime({ offset: true, error: 'expected an RFC 3339 instant like 2026-11-23T00:00:00Z' })
  .transform((text) => new Date(text));

export function listOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z.string().nullable().meta({ description: 'Pass as cursor for what follows; null = the end.' }),
  });
}

/** `limit` and `cursor` of every list. */
export const paging = {
  limit: z.coerce
    .number('expected a number')
    .int('expected a whole number')
    .min(1, 'expected 1 to 200')
    .max(200, 'expected 1 to 200')
    .default(50)
    .meta({ type: 'integer', minimum: 1, maximum: 200 }),
  cursor: z.string().max(300).optional().meta({ description: 'nextCursor of the page before.' }),
};
export const idPaging = { ...paging, cursor: id.optional() };

export const fact = z.strictObject({
  at: instant,
  state,
  version: z.string(),
  reason: z.string().nullable(),
  detail: z.string().nullable(),
  attempt: z.int().nullable(),
  durationMs: z.int().nullable(),
  webhookId: z.string().nullable(),
});

export const deadLetter = z.strictObject({
  id,
  shop: z.string(),
  destination: z.string().nullable().meta({ description: 'null = could not be mapped for anybody.' }),
  kind: kind.nullable(),
  subjectId: z.string().nullable(),
  orderId: z.string().nullable(),
  topic: z.string(),
  webhookId: z.string(),
  lane: lane.meta({ description: 'Who must act: theirs = the customer, ours = us.' }),
  reason: z.string(),
  detail: z.string().nullable(),
  attempts: z.int(),
  receivedAt: instant,
  buriedAt: instant,
  replayedAt: instantOrNull,
});

/** An item of a list that is kept whole in memory, after the cursor's name. */
export function pageByName<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  { limit, cursor }: { limit: number; cursor?: string },
): { items: Item[]; nextCursor: string | null } {
  const rest = cursor === undefined ? items : items.filter((item) => nameOf(item) > cursor);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return { items: page, nextCursor: rest.length > limit && last !== undefined ? nameOf(last) : null };
}

type Given<Fields> = { [Key in keyof Fields]: Exclude<Fields[Key], undefined> };

/** Without the keys that were left out. The cast says no more than that. */
export function given<Fields extends object>(fields: Fields): Given<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<Fields>;
}

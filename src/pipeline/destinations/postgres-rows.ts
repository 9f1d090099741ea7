import type { Kind, ReadBackItem } from '../contract.js';
import { eventId } from '../event/event-id.js';
import type { EventRecord } from './event-record.js';

/** One row, ready for the wire: every text is storable, the payload is JSON text. */
export interface Row {
  shop_domain: string;
  subject_id: string;
  kind: Kind;
  event_id: string;
  order_id: string;
  occurred_at: string;
  currency: string | null;
  value: string | null;
  payload: string;
}

export function rowOf(record: EventRecord): Row {
  return {
    ...record,
    shop_domain: storableText(record.shop_domain),
    subject_id: storableText(record.subject_id),
    order_id: storableText(record.order_id),
    currency: record.currency === null ? null : storableText(record.currency),
    payload: storableJson(record.payload),
  };
}

/**
 * PostgreSQL stores neither U+0000 nor half a surrogate pair, and Shopify's texts can hold both. They are replaced by
 * U+FFFD, visibly, in the warehouse only; the inbox keeps the bytes.
 */
function storableText(text: string): string {
  return text.replaceAll('\u0000', '\ufffd').toWellFormed();
}

/** Any escape of JSON text; a whole surrogate pair is one. */
const ESCAPE = /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)/g;
const UNSTORABLE = /^\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})$/;

/** As `storableText`, for JSON text that holds no half pair but escaped ones: UTF-8 has none. */
function storableJson(json: string): string {
  if (!json.includes('\\u')) return json;
  return json.replace(ESCAPE, (escape) => (UNSTORABLE.test(escape) ? '\ufffd' : escape));
}

/**
 * A table's name as SQL, quoted.
 *
 * @param table `name` or `schema.name`, lower case: what people write unquoted elsewhere is the same table
 * @returns `null` when it is no such name
 */
export function quotedTable(table: string): string | null {
  if (!/^(?:[a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}$/.test(table)) return null;
  return table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}

/** The table: fixed, because others' queries build on it (docs/destinations/postgres.md). */
export function createTable(table: string): string {
  return `create table if not exists ${table} (
    shop_domain text not null,
    subject_id text not null,
    kind text not null,
    event_id text not null,
    order_id text not null,
    occurred_at timestamptz not null,
    currency text,
    value numeric,
    payload jsonb not null,
    loaded_at timestamptz not null,
    primary key (shop_domain, subject_id, kind)
  )`;
}

/**
 * Loads a batch. Rows go in by key order, so that two loaders cannot deadlock; of one key only the newest of the
 * batch goes in, because a statement may touch a row once.
 *
 * A newer truth is never overwritten by an older one (invariant 8): the table has no version, and `occurred_at` is
 * an update's `updated_at`, so it decides. Equal overwrites: a retry repairs what it finds.
 *
 * $1…$9 the columns as arrays, $10 loaded_at
 */
export function upsert(table: string): string {
  return `
    insert into ${table} as kept
      (shop_domain, subject_id, kind, event_id, order_id, occurred_at, currency, value, payload, loaded_at)
    select distinct on (shop_domain, subject_id, kind)
           shop_domain, subject_id, kind, event_id, order_id, occurred_at, currency, value, payload, $10::timestamptz
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
                  $8::numeric[], $9::jsonb[])
           with ordinality as given (shop_domain, subject_id, kind, event_id, order_id, occurred_at, currency, value,
                                     payload, place)
     order by shop_domain, subject_id, kind, occurred_at desc, place desc
    on conflict (shop_domain, subject_id, kind) do update
       set event_id = excluded.event_id, order_id = excluded.order_id, occurred_at = excluded.occurred_at,
           currency = excluded.currency, value = excluded.value, payload = excluded.payload,
           loaded_at = excluded.loaded_at
     where excluded.occurred_at >= kept.occurred_at`;
}

/** Which of the keys are there with this event or a newer one: $1…$4 arrays of key and occurred_at, $5 event ids. */
export function readBack(table: string): string {
  return `
    select place::integer as place
      from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
           with ordinality as wanted (shop_domain, subject_id, kind, occurred_at, event_id, place)
      join ${table} as kept using (shop_domain, subject_id, kind)
     where kept.event_id = wanted.event_id or kept.occurred_at >= wanted.occurred_at`;
}

export function upsertValues(rows: readonly Row[], loadedAt: Date): unknown[] {
  const column = (name: keyof Row): (string | null)[] => rows.map((row) => row[name]);
  return [
    column('shop_domain'),
    column('subject_id'),
    column('kind'),
    column('event_id'),
    column('order_id'),
    column('occurred_at'),
    column('currency'),
    column('value'),
    column('payload'),
    loadedAt,
  ];
}

export function readBackValues(rows: readonly Row[]): unknown[] {
  const column = (name: keyof Row): (string | null)[] => rows.map((row) => row[name]);
  return [column('shop_domain'), column('subject_id'), column('kind'), column('occurred_at'), column('event_id')];
}

/**
 * Which subjects of a kind are there: $1 shop, $2 kind, $3…$5 arrays of subject, occurred_at and event id, $6 whether
 * the key alone proves it. Leans on the primary key; takes no lock that a load would wait for.
 */
export function findSubjects(table: string): string {
  return `
    select place::integer as place
      from unnest($3::text[], $4::timestamptz[], $5::text[])
           with ordinality as wanted (subject_id, occurred_at, event_id, place)
      join ${table} as kept
        on kept.shop_domain = $1 and kept.kind = $2 and kept.subject_id = wanted.subject_id
     where $6 or kept.event_id = wanted.event_id or kept.occurred_at >= wanted.occurred_at`;
}

export function findSubjectsValues(shopDomain: string, kind: Kind, items: readonly ReadBackItem[]): unknown[] {
  return [
    storableText(shopDomain),
    kind,
    items.map(({ subjectId }) => storableText(subjectId)),
    items.map(({ occurredAt }) => occurredAt),
    items.map(({ subjectId, version }) => eventId({ shopDomain, subjectId, kind, version })),
    kind !== 'order-updated', // every other kind happens once, so there is one row that it can be
  ];
}

import { idOf } from './lossless-json.js';
import { parseInstant, type Instant } from './instant.js';

/** A parsed JSON object whose fields are not trusted yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** A field that a destination needs has a type it cannot have. Caught by `readWebhook`, which makes it a reason. */
export class WrongType extends Error {
  constructor(
    readonly path: string,
    found: unknown,
  ) {
    super(`${path} is ${nameOfType(found)}`);
    this.name = 'WrongType';
  }
}

function nameOfType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A describing text. Nobody's delivery depends on it, so a wrong type reads as absent; numbers are printed. */
export function textAt(body: Fields, key: string): string | null {
  const value = body[key];
  if (typeof value === 'string') return value === '' ? null : value;
  return typeof value === 'number' ? String(value) : null;
}

/** A reference to something else. Absent and null are fine, a wrong type is not: it would lose the reference. */
export function idAt(body: Fields, key: string, path: string): string | null {
  const value = body[key];
  if (value === null || value === undefined || value === '') return null;
  const id = idOf(value);
  if (id === null) throw new WrongType(path, value);
  return id;
}

/** The subject's own id: `id`, and `admin_graphql_api_id` where there is none. */
export function ownId(body: Fields): string | null {
  return idAt(body, 'id', 'id') ?? idOf(body['admin_graphql_api_id']);
}

export function instantAt(body: Fields, key: string): Instant | null {
  return parseInstant(body[key]);
}

export function fieldsAt(body: Fields, key: string, path: string): Fields | null {
  const value = body[key];
  if (value === null || value === undefined) return null;
  if (!isFields(value)) throw new WrongType(path, value);
  return value;
}

/** A list of objects; absent and null mean empty. */
export function listAt(body: Fields, key: string, path: string): readonly Fields[] {
  const value = body[key];
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new WrongType(path, value);
  return value.map((entry: unknown, index) => {
    if (!isFields(entry)) throw new WrongType(`${path}[${index}]`, entry);
    return entry;
  });
}

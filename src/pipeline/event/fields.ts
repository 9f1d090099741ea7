import { idOf } from './lossless-json.js';
import { parseInstant, type Instant } from './instant.js';

/** A parsed JSON object whose fields are not trusted yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** A field that a destination needs has a type it cannot have. Caught by `readWebhook`, which makes it a reason. */
export class WrongType extends Error {
  constructor(
    readonly path: string,
    private readonly found: unknown,
  ) {
    super(`${path} is ${nameOfType(found)}`);
    this.name = 'WrongType';
  }

  under(path: string): WrongType {
    return new WrongType(`${path}.${this.path}`, this.found);
  }
}

function nameOfType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Runs what reads a part of the body; a fault within is told with its whole path. Paths cost nothing until then. */
export function within<Read>(path: string, read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    if (error instanceof WrongType) throw error.under(path);
    throw error;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether the body has the key at all; null is something. What was not read of a body is undefined. */
export function hasKey(body: Fields, key: string): boolean {
  return body[key] !== undefined;
}

/** A describing text. Nobody's delivery depends on it, so a wrong type reads as absent; numbers are printed. */
export function textAt(body: Fields, key: string): string | null {
  const value = body[key];
  if (typeof value === 'string') return value === '' ? null : value;
  return typeof value === 'number' ? String(value) : null;
}

/** A reference to something else. Absent and null are fine, a wrong type is not: it would lose the reference. */
export function idAt(body: Fields, key: string): string | null {
  const value = body[key];
  if (value === null || value === undefined || value === '') return null;
  const id = idOf(value);
  if (id === null) throw new WrongType(key, value);
  return id;
}

/** The subject's own id: `id`, and `admin_graphql_api_id` where there is none. */
export function ownId(body: Fields): string | null {
  return idAt(body, 'id') ?? idOf(body['admin_graphql_api_id']);
}

export function instantAt(body: Fields, key: string): Instant | null {
  return parseInstant(body[key]);
}

export function fieldsAt(body: Fields, key: string): Fields | null {
  const value = body[key];
  if (value === null || value === undefined) return null;
  if (!isFields(value)) throw new WrongType(key, value);
  return value;
}

/** A list of objects; absent and null mean empty. */
export function listAt(body: Fields, key: string): readonly Fields[] {
  const value = body[key];
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new WrongType(key, value);
  value.forEach((entry: unknown, index) => {
    if (!isFields(entry)) throw new WrongType(`${key}[${index}]`, entry);
  });
  return value as readonly Fields[]; // each entry has just been looked at
}

/** What is read of each object of a list. @param read may throw a WrongType, which is then told with its whole path */
export function eachAt<Read>(body: Fields, key: string, read: (entry: Fields) => Read): Read[] {
  const entries = listAt(body, key);
  const results: Read[] = [];
  try {
    for (const entry of entries) results.push(read(entry));
  } catch (error) {
    if (error instanceof WrongType) throw error.under(`${key}[${results.length}]`);
    throw error;
  }
  return results;
}

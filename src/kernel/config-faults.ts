import type { z } from 'zod';
import { PlumblineError } from './errors.js';

/** One thing wrong with the configuration, where it stands, and what to do. Never holds a configured value. */
export interface Fault {
  /** `environment`, or the file as the user named it. */
  source: string;
  /** Position in the file, from 1; `null` for the environment. */
  line: number | null;
  column: number | null;
  /** The variable, or the key's path: `destinations[0].apiSecret`. */
  key: string;
  message: string;
}

export type KeyPath = readonly (string | number)[];

/** `['shops', 0, 'domain']` as people write it: `shops[0].domain`. */
export function keyOf(path: KeyPath): string {
  return path.reduce<string>(
    (key, part) => (typeof part === 'number' ? `${key}[${part}]` : key === '' ? part : `${key}.${part}`),
    '',
  );
}

/** Optimal string alignment distance: insert, remove, replace, or swap two neighbours. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (__, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity;
      (rows[i] as number[])[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped);
    }
  }
  return at(a.length, b.length);
}

/** @returns `; did you mean X?` for the nearest known word within a third of its length, else nothing */
export function didYouMean(word: string, known: Iterable<string>): string {
  let best: { word: string; distance: number } | null = null;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (!best || distance < best.distance) best = { word: candidate, distance };
  }
  return best && best.distance <= Math.max(1, Math.floor(best.word.length / 3)) ? `; did you mean ${best.word}?` : '';
}

/** JSON Schema as far as `keysAllowedAt` walks it. */
interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  items?: SchemaNode;
  oneOf?: SchemaNode[];
  anyOf?: SchemaNode[];
  const?: unknown;
}

/** Which keys may stand at `path`, for suggestions; a union narrows by the value's own discriminator. */
function keysAllowedAt(schema: SchemaNode, path: KeyPath, value: unknown): string[] {
  let node: SchemaNode | undefined = schema;
  let here: unknown = value;
  const narrowed = (from: SchemaNode | undefined, given: unknown): SchemaNode | undefined => {
    const branches = from?.oneOf ?? from?.anyOf;
    if (!branches) return from;
    return (
      branches.find((branch) =>
        Object.entries(branch.properties ?? {}).some(
          ([key, property]) => property.const !== undefined && property.const === member(given, key),
        ),
      ) ?? branches[0]
    );
  };
  for (const part of path) {
    node = narrowed(node, here);
    node = typeof part === 'number' ? node?.items : node?.properties?.[part];
    here = member(here, part);
  }
  return Object.keys(narrowed(node, here)?.properties ?? {});
}

/** A property of something unknown; `undefined` when it has none. */
export function member(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined;
}

/**
 * zod's issues as path and message, one a fault.
 *
 * @param jsonSchema of the schema that was parsed with, for suggestions
 * @param value what was parsed
 */
export function issuesToFaults(
  issues: readonly z.core.$ZodIssue[],
  jsonSchema: unknown,
  value: unknown,
): { path: KeyPath; message: string }[] {
  return issues.flatMap((issue) => {
    const path = issue.path.filter((part) => typeof part !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      const known = keysAllowedAt(jsonSchema as SchemaNode, path, value);
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown key${didYouMean(key, known)}` }));
    }
    if (issue.code === 'invalid_type' && at(value, path) === undefined) {
      return [{ path, message: 'is missing' }];
    }
    return [{ path, message: issue.message }];
  });
}

function at(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((here, part) => member(here, part), value);
}

/** The one report: every fault, in the order of environment, then file by line. */
function formatFaults(faults: readonly Fault[]): string {
  const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`;
  const lines = [...faults]
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
    .map(({ source, line, column, key, message }) => {
      const where = line === null ? source : `${source}:${line}:${column ?? 1}`;
      return `  ${where}  ${key}${key === '' ? '' : ': '}${message}`;
    });
  return `${count} in the configuration:\n${lines.join('\n')}`;
}

export function configurationInvalid(faults: readonly Fault[]): PlumblineError {
  return new PlumblineError('CONFIGURATION_INVALID', formatFaults(faults));
}

/**
 * What `plumbline config check` prints, and the exit code it ends with.
 *
 * @param found the faults; none = the configuration is fine
 * @param warnings what is accepted but not used
 */
export function configReport(
  found: { faults: readonly Fault[]; warnings: readonly string[]; filePath: string | null },
  json: boolean,
): { text: string; exitCode: number } {
  const { faults, warnings, filePath } = found;
  const exitCode = faults.length > 0 ? configurationInvalid(faults).exitCode : 0;
  if (json)
    return {
      text: `${JSON.stringify({ valid: exitCode === 0, file: filePath, faults, warnings }, null, 2)}\n`,
      exitCode,
    };
  const verdict =
    faults.length > 0
      ? formatFaults(faults)
      : `The configuration is fine (${filePath ?? 'environment only, no file'}).`;
  return { text: [verdict, ...warnings.map((warning) => `warning: ${warning}`), ''].join('\n'), exitCode };
}

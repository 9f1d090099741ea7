import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import { messageOf } from './errors.js';
import type { Fault, KeyPath } from './config-faults.js';
import { keyOf } from './config-faults.js';

const INTERPOLATION = /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** The configuration file read once: its values with `${NAME}` filled in, and where each key stands. */
export interface ConfigFile {
  /** `undefined` when the YAML itself is broken. */
  value: unknown;
  faults: Fault[];
  /** Keys whose value holds a `${NAME}` that was filled in, as `keyOf` writes them. */
  fromEnvironment: ReadonlySet<string>;
  /** A fault at a key; a key that is not there is reported at the nearest parent that is. */
  fault(path: KeyPath, message: string): Fault;
}

/**
 * @param text the file's content (YAML 1.2)
 * @param name the file as the user named it, for messages
 * @param env what `${NAME}` reads; `$${NAME}` stays as the text `${NAME}`
 */
export function readConfigFile(
  text: string,
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): ConfigFile {
  const counter = new LineCounter();
  // prettyErrors would quote the line, and the line may hold a secret.
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, version: '1.2' });
  const faultAt = (offset: number, key: string, message: string): Fault => {
    const { line, col } = counter.linePos(offset);
    return { source: name, line, column: col, key, message };
  };
  const fault = (path: KeyPath, message: string): Fault =>
    faultAt(offsetOf(document, path), path.length === 0 ? '' : keyOf(path), message);

  const faults = document.errors.map((error) => faultAt(error.pos[0], '', `not valid YAML: ${error.message}`));
  const fromEnvironment = new Set<string>();
  if (faults.length > 0) return { value: undefined, faults, fromEnvironment, fault };

  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string') return;
      node.value = node.value.replace(INTERPOLATION, (whole: string, escaped: string, variable: string) => {
        if (escaped !== '') return whole.slice(1);
        const value = env[variable];
        const path = pathOf(ancestors, node, key);
        fromEnvironment.add(keyOf(path));
        if (value !== undefined && value !== '') return value;
        faults.push(
          faultAt(
            node.range?.[0] ?? 0,
            keyOf(path),
            `\${${variable}} is not set in the environment; set it or remove it`,
          ),
        );
        return '';
      });
    },
  });
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) as unknown, faults, fromEnvironment, fault };
  } catch (error) {
    return { value: undefined, faults: [...faults, faultAt(0, '', messageOf(error))], fromEnvironment, fault };
  }
}

function pathOf(ancestors: readonly unknown[], leaf: Node, leafKey: number | string | null): (string | number)[] {
  const path: (string | number)[] = [];
  ancestors.forEach((ancestor, index) => {
    const child = ancestors[index + 1] ?? leaf;
    if (isSeq(ancestor)) path.push(index + 1 < ancestors.length ? ancestor.items.indexOf(child) : Number(leafKey));
    else if (isMap(ancestor)) {
      const pair = ancestor.items.find((item) => item === child);
      if (pair) path.push(isScalar(pair.key) ? String(pair.key.value) : String(pair.key));
    }
  });
  return path;
}

/** Where the key at `path` begins, or the deepest part of the path that exists. */
function offsetOf(document: Document, path: KeyPath): number {
  let node: unknown = document.contents;
  let offset = rangeStart(node) ?? 0;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => (isScalar(item.key) ? item.key.value : item.key) === part);
      if (!pair) break;
      offset = rangeStart(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number' && part < node.items.length) {
      node = node.items[part];
      offset = rangeStart(node) ?? offset;
    } else break;
  }
  return offset;
}

function rangeStart(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] | null } | null | undefined)?.range?.[0];
}

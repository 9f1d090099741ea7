import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { readConfigFile, type ConfigFile } from './config-file.js';
import { didYouMean, issuesToFaults, keyOf, type Fault, type KeyPath } from './config-faults.js';
import { messageOf } from './errors.js';
import { parseSecretKeys } from './secrets.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One row of the table that `docs/configuration.md` is generated from. */
export interface Variable<Value> {
  name: string;
  type: string;
  /** What one of it is; `-` where there is no unit. */
  unit: string;
  /** As one would write it; `null` = unset. */
  default: string | null;
  /** What it does, in one sentence. */
  sentence: string;
  secret: boolean;
  /** Accepted already, used by a later release. */
  reserved?: boolean;
  /** @throws Error whose message says what is expected; it must not quote a secret */
  parse(raw: string): Value;
}

export const ROLES = ['intake', 'worker', 'watch', 'web'] as const;
export type Role = (typeof ROLES)[number];
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const text = (raw: string): string => raw;

function port(raw: string): number {
  const value = Number(raw);
  if (!/^\d+$/.test(raw) || value > 65_535) throw new Error('expected a port, 0 to 65535 (0 = any free one)');
  return value;
}

function oneOf<const Word extends string>(words: readonly Word[]): (raw: string) => Word {
  return (raw) => {
    const word = words.find((candidate) => candidate === raw.toLowerCase());
    if (word === undefined) throw new Error(`expected one of ${words.join(', ')}${didYouMean(raw, words)}`);
    return word;
  };
}

function postgresUrl(raw: string): string {
  const protocol = URL.canParse(raw) ? new URL(raw).protocol : '';
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') {
    throw new Error('expected a URL like postgres://user:password@host:5432/database');
  }
  return raw;
}

function roles(raw: string): ReadonlySet<Role> {
  const words = raw.split(',').map((word) => word.trim());
  return new Set(words.filter((word) => word !== '').map(oneOf(ROLES)));
}

function secretKeys(raw: string): Buffer[] {
  const keys = parseSecretKeys(raw);
  if (keys.some((key) => key.length !== 32)) {
    throw new Error(
      'expected 32 bytes in base64 (make one with: openssl rand -base64 32); several separated by commas',
    );
  }
  return keys;
}

function adminToken(raw: string): string {
  if (!/^[\x21-\x7e]{16,}$/.test(raw)) throw new Error('expected at least 16 visible ASCII characters, no spaces');
  return raw;
}

function noQueueYet(): never {
  throw new Error('this release keeps the inbox in PostgreSQL only; unset it');
}

/**
 * The one table of environment variables. Order is that of the document. An empty value counts as unset.
 */
export const VARIABLES = {
  port: {
    name: 'PORT',
    type: 'whole number',
    unit: 'TCP port',
    default: '8080',
    sentence: 'Where webhooks, the API and the console are served.',
    secret: false,
    parse: port,
  },
  host: {
    name: 'HOST',
    type: 'text',
    unit: 'address',
    default: '127.0.0.1',
    sentence: 'The address to listen on; 0.0.0.0 for all.',
    secret: false,
    parse: text,
  },
  databaseUrl: {
    name: 'DATABASE_URL',
    type: 'URL',
    unit: '-',
    default: null,
    sentence: 'The PostgreSQL to use; unset, the service runs its own in the data directory.',
    secret: true,
    parse: postgresUrl,
  },
  logLevel: {
    name: 'LOG_LEVEL',
    type: LOG_LEVELS.join(' | '),
    unit: '-',
    default: 'info',
    sentence: 'The least severe log line that is written.',
    secret: false,
    parse: oneOf(LOG_LEVELS),
  },
  configPath: {
    name: 'PLUMBLINE_CONFIG',
    type: 'path',
    unit: '-',
    default: null,
    sentence: 'The configuration file; unset, `plumbline.yaml` in the working directory when it is there.',
    secret: false,
    parse: text,
  },
  dataDir: {
    name: 'PLUMBLINE_DATA_DIR',
    type: 'path',
    unit: '-',
    default: '.plumbline',
    sentence: 'Where the embedded database, the spill journal and the generated admin token are kept.',
    secret: false,
    parse: text,
  },
  roles: {
    name: 'PLUMBLINE_ROLES',
    type: `comma list of ${ROLES.join(', ')}`,
    unit: '-',
    default: ROLES.join(','),
    sentence: 'What this process does.',
    secret: false,
    parse: roles,
  },
  queueUrl: {
    name: 'PLUMBLINE_QUEUE_URL',
    type: 'URL',
    unit: '-',
    default: null,
    sentence: 'Where the inbox is kept; only unset (= PostgreSQL) is supported so far.',
    secret: true,
    reserved: true,
    parse: noQueueYet,
  },
  secretKeys: {
    name: 'PLUMBLINE_SECRET_KEY',
    type: 'base64, comma list',
    unit: '32 bytes each',
    default: null,
    sentence: 'Encrypts credentials and payloads at rest; the first key seals, every key opens (rotation).',
    secret: true,
    parse: secretKeys,
  },
  statusExportDir: {
    name: 'PLUMBLINE_STATUS_EXPORT_DIR',
    type: 'path',
    unit: '-',
    default: null,
    sentence: 'A directory that always holds a complete static copy of the public status page; unset, none is written.',
    secret: false,
    parse: text,
  },
  adminToken: {
    name: 'PLUMBLINE_ADMIN_TOKEN',
    type: 'text',
    unit: '>= 16 characters',
    default: null,
    sentence: 'The first API token; unset, one is generated into `admin-token` in the data directory (mode 0600).',
    secret: true,
    parse: adminToken,
  },
  sandbox: {
    name: 'PLUMBLINE_SANDBOX',
    type: 'on | off | auto',
    unit: '-',
    default: 'auto',
    sentence: 'Pretended shops and destinations beside the service; auto runs them while no real shop is configured.',
    secret: false,
    parse: oneOf(['on', 'off', 'auto']),
  },
  metricsPort: {
    name: 'PLUMBLINE_METRICS_PORT',
    type: 'whole number',
    unit: 'TCP port',
    default: '9464',
    sentence: 'Where Prometheus reads `/metrics`, on HOST.',
    secret: false,
    parse: port,
  },
} as const satisfies Record<string, Variable<unknown>>;

/** What only the command line reads. */
export const CLI_VARIABLES = {
  PLUMBLINE_URL: {
    default: 'http://127.0.0.1:8080',
    secret: false,
    sentence: 'The service that `plumbline` talks to.',
  },
  PLUMBLINE_TOKEN: {
    default: null,
    secret: true,
    sentence: 'The API token; unset, `admin-token` in the data directory is read.',
  },
} as const;

type Variables = typeof VARIABLES;
type Value<Name extends keyof Variables> = ReturnType<Variables[Name]['parse']>;
/** A variable with a default always has a value; one without may be `null`. */
export type Settings = {
  readonly [Name in keyof Variables]: Variables[Name]['default'] extends string ? Value<Name> : Value<Name> | null;
};

/** What the areas allow in the file; the kernel knows none of it. */
export interface Sections<Shape extends z.core.$ZodLooseShape> {
  /** One strict schema a top-level key. Each is parsed on its own, so that one fault hides no other. */
  shape: Shape;
  /**
   * Faults between sections. Gets the values as written, whole or broken, and must bear anything.
   *
   * @param isFromEnvironment whether the text at a key came by `${NAME}`, for what must not stand in a file
   */
  check?: (
    raw: Readonly<Record<string, unknown>>,
    isFromEnvironment?: (path: KeyPath) => boolean,
  ) => { path: KeyPath; message: string }[];
  /** Top-level keys of later releases: accepted as objects, not used, said so at start. */
  later?: readonly string[];
}

export interface Config<File> extends Settings {
  file: File;
  /** Absolute path of the file that was read; `null` = none. */
  filePath: string | null;
  /** What is accepted but will not do what one may think; shown at start. */
  warnings: readonly string[];
}

export type ConfigResult<File> = { config: Config<File>; faults?: undefined } | { config?: undefined; faults: Fault[] };

const DEFAULT_FILE = 'plumbline.yaml';

/**
 * Reads the whole configuration. All faults of environment and file come back together; none holds a value.
 *
 * @param env the process environment
 * @param options.cwd what relative paths are relative to
 */
export function loadConfig<Shape extends z.core.$ZodLooseShape>(
  env: Environment,
  options: { sections: Sections<Shape>; cwd?: string },
): ConfigResult<z.output<z.ZodObject<Shape>>> {
  const cwd = options.cwd ?? process.cwd();
  const warnings: string[] = [];
  const { settings, faults } = readEnvironment(env, warnings);

  const asked = settings.configPath ?? (existsSync(resolve(cwd, DEFAULT_FILE)) ? DEFAULT_FILE : null);
  let raw: unknown = {};
  let file: ConfigFile | null = null;
  if (asked !== null) {
    try {
      file = readConfigFile(readFileSync(resolve(cwd, asked), 'utf8'), asked, env);
      faults.push(...file.faults);
      // An empty file is an empty configuration; a broken one was reported and is not looked into.
      raw = file.value ?? {};
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : messageOf(error);
      faults.push({
        source: 'environment',
        line: null,
        column: null,
        key: 'PLUMBLINE_CONFIG',
        message: `${asked}: ${why}`,
      });
    }
  }
  const isFromEnvironment = (path: KeyPath): boolean => file?.fromEnvironment.has(keyOf(path)) ?? false;
  const parsed = readSections(raw, options.sections, warnings, isFromEnvironment);
  const fromFile = parsed.faults.map(({ path, message }) =>
    file ? file.fault(path, message) : { source: 'configuration', line: null, column: null, key: keyOf(path), message },
  );
  // A key whose ${NAME} is missing has been reported; that it is empty then is no second fault.
  faults.push(...fromFile.filter((fault) => !faults.some((known) => known.key === fault.key && known.line !== null)));
  if (faults.length > 0 || parsed.value === undefined) return { faults };
  return {
    config: {
      ...complete(settings),
      dataDir: absolute(cwd, settings.dataDir ?? '.plumbline'),
      statusExportDir: settings.statusExportDir == null ? null : absolute(cwd, settings.statusExportDir),
      file: parsed.value,
      filePath: asked === null ? null : resolve(cwd, asked),
      warnings,
    },
  };
}

/** Safe to call without faults: then every variable was parsed, and one with a default is never `null`. */
function complete(settings: { [Name in keyof Variables]?: Value<Name> | null }): Settings {
  return settings as Settings;
}

function absolute(cwd: string, path: string): string {
  return isAbsolute(path) ? path : resolve(cwd, path);
}

function readEnvironment(
  env: Environment,
  warnings: string[],
): { settings: { [Name in keyof Variables]?: Value<Name> | null }; faults: Fault[] } {
  const faults: Fault[] = [];
  const settings: Record<string, unknown> = {};
  for (const [field, variable] of Object.entries<Variable<unknown>>(VARIABLES)) {
    const raw = env[variable.name]?.trim() || variable.default;
    try {
      settings[field] = raw === null ? null : variable.parse(raw);
    } catch (error) {
      faults.push({ source: 'environment', line: null, column: null, key: variable.name, message: messageOf(error) });
    }
    if (variable.reserved && env[variable.name]?.trim())
      warnings.push(`${variable.name} is not used by this release yet`);
  }
  const known = [...Object.values(VARIABLES).map(({ name }) => name as string), ...Object.keys(CLI_VARIABLES)];
  for (const name of Object.keys(env)) {
    if (name.startsWith('PLUMBLINE_') && !known.includes(name)) {
      warnings.push(`${name} is not a variable of Plumbline${didYouMean(name, known)}`);
    }
  }
  return { settings, faults };
}

function readSections<Shape extends z.core.$ZodLooseShape>(
  raw: unknown,
  { shape, check, later = [] }: Sections<Shape>,
  warnings: string[],
  isFromEnvironment: (path: KeyPath) => boolean,
): { value: z.output<z.ZodObject<Shape>> | undefined; faults: { path: KeyPath; message: string }[] } {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { value: undefined, faults: [{ path: [], message: 'the file must hold keys and values at its top' }] };
  }
  const given: Record<string, unknown> = { ...raw };
  const faults: { path: KeyPath; message: string }[] = [];
  for (const name of later) {
    if (given[name] === undefined) continue;
    if (typeof given[name] !== 'object') faults.push({ path: [name], message: 'expected keys and values' });
    warnings.push(`section ${name} is accepted but not used by this release yet`);
    delete given[name];
  }
  const schema = z.strictObject(shape);
  const result = schema.safeParse(given);
  if (!result.success) {
    const jsonSchema = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
    for (const name of later) jsonSchema.properties = { ...jsonSchema.properties, [name]: {} };
    faults.push(...issuesToFaults(result.error.issues, jsonSchema, given));
  }
  faults.push(...(check?.(given, isFromEnvironment) ?? []));
  return { value: result.success ? result.data : undefined, faults };
}

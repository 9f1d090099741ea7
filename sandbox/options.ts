import { parseArgs } from 'node:util';
import type { RemovalReading } from './shopify/webhook-sender.js';

export interface SandboxOptions {
  port: number;
  service: string;
  secret: string;
  oldSecret: string;
  accessToken: string;
  seed: number;
  rate: number;
  stores: number;
  timeScale: number;
  removal: RemovalReading;
  apiVersion: string;
  sellNow: boolean;
  ordersMax: number;
  readAllOrders: boolean;
  /** How long destinations take until their reports show what arrived. */
  settling: 'short' | 'real';
  /** Where mails are handed in, as Postmark does; `null` = they are only kept. */
  mailTo: string | null;
}

const DEFAULTS = {
  port: '8090',
  service: 'http://127.0.0.1:8080',
  secret: 'sandbox-client-secret',
  'old-secret': 'sandbox-old-secret',
  'access-token': 'sandbox-access-token',
  seed: '1',
  rate: '2',
  stores: '3',
  'time-scale': '1',
  removal: 'subscription',
  'api-version': '2026-10',
  'sell-now': 'false',
  'orders-max': '50000',
  'read-all-orders': 'false',
  settling: 'short',
  'mail-to': '',
} as const;
type Name = keyof typeof DEFAULTS;
const FLAGS: ReadonlySet<Name> = new Set<Name>(['sell-now', 'read-all-orders']);

/**
 * `--time-scale 60`, else `SANDBOX_TIME_SCALE`, else the default.
 *
 * @throws Error that names every fault at once
 */
export function readOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): SandboxOptions {
  const names = Object.keys(DEFAULTS) as Name[]; // DEFAULTS is a literal: its keys are the names
  const options = Object.fromEntries(
    names.map((name) => [name, { type: FLAGS.has(name) ? ('boolean' as const) : ('string' as const) }]),
  );
  const given: Readonly<Record<string, string | boolean | undefined>> = parseArgs({ args: [...args], options }).values;
  const faults: string[] = [];
  const text = (name: Name): string => {
    const value = given[name] ?? environment[`SANDBOX_${name.toUpperCase().replaceAll('-', '_')}`] ?? DEFAULTS[name];
    return String(value);
  };
  const number = (name: Name, low: number, high: number): number => {
    const value = Number(text(name));
    if (!(value >= low && value <= high)) faults.push(`--${name} must be a number from ${low} to ${high}`);
    return value;
  };
  const flag = (name: Name): boolean => text(name) === 'true' || text(name) === '1';
  const removal = text('removal');
  if (removal !== 'subscription' && removal !== 'delivery') faults.push('--removal must be subscription or delivery');
  const settling = text('settling');
  if (settling !== 'short' && settling !== 'real') faults.push('--settling must be short or real');
  const read: SandboxOptions = {
    port: number('port', 0, 65_535),
    service: text('service').replace(/\/+$/, ''),
    secret: text('secret'),
    oldSecret: text('old-secret'),
    accessToken: text('access-token'),
    seed: number('seed', 0, 4_294_967_295),
    rate: number('rate', 0, 500),
    stores: number('stores', 1, 200),
    timeScale: number('time-scale', 0.001, 1_000_000),
    removal: removal === 'delivery' ? 'delivery' : 'subscription',
    apiVersion: text('api-version'),
    sellNow: flag('sell-now'),
    ordersMax: number('orders-max', 100, 1_000_000),
    readAllOrders: flag('read-all-orders'),
    settling: settling === 'real' ? 'real' : 'short',
    mailTo: text('mail-to') === '' ? null : text('mail-to'),
  };
  if (read.mailTo !== null && !URL.canParse(read.mailTo)) faults.push('--mail-to must be a URL');
  if (!URL.canParse(read.service)) faults.push('--service must be a URL');
  if (faults.length > 0) throw new Error(faults.join('; '));
  return read;
}

import type { Clock } from '../clock.js';

const PERIOD_MS = 60_000;
const GRACE_MS = 60_000;
const PINGS_KEPT = 100;

export interface Ping {
  atMs: number;
  kind: 'success' | 'fail' | 'start' | 'log';
  body: string;
}

/** `new`: nothing was ever heard. `late`: within its grace. `down`: somebody would be woken. */
export type CheckState = 'new' | 'up' | 'late' | 'down';

/**
 * One check as healthchecks.io keeps it: it raises the alarm when it hears nothing.
 * Source: healthchecks, "HTTP API": `<url>`, `<url>/fail`, `<url>/start`, `<url>/log`; GET, POST and HEAD; 200 `OK`.
 */
export class Healthchecks {
  readonly id = '5a4d8f70-5a4d-4b0c-9a4e-5a4db0c00001';
  readonly pings: Ping[] = [];

  constructor(private readonly clock: Clock) {}

  /** @param path after the address of the server @returns what it answers; `null` = not its path */
  take(path: string, body: string): { status: number; body: string } | null {
    const [, id = '', ending = ''] = /^\/ping\/([\w-]+)(?:\/(\w+))?$/.exec(path) ?? [];
    if (id === '') return null;
    const kind = { '': 'success', fail: 'fail', start: 'start', log: 'log' }[ending] as Ping['kind'] | undefined;
    if (id !== this.id || kind === undefined) return { status: 404, body: 'not found' };
    this.pings.push({ atMs: this.clock.now(), kind, body });
    if (this.pings.length > PINGS_KEPT) this.pings.shift();
    return { status: 200, body: 'OK' };
  }

  get state(): CheckState {
    const last = this.pings.findLast(({ kind }) => kind === 'success' || kind === 'fail');
    if (last === undefined) return 'new';
    if (last.kind === 'fail') return 'down';
    const ageMs = this.clock.now() - last.atMs;
    if (ageMs <= PERIOD_MS) return 'up';
    return ageMs <= PERIOD_MS + GRACE_MS ? 'late' : 'down';
  }

  get lastAtMs(): number | null {
    return this.pings.findLast(({ kind }) => kind === 'success')?.atMs ?? null;
  }
}

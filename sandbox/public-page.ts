import type { Clock } from './clock.js';

const WITHIN_MS = 2_000;
const SAID_MAX = 20;

/** What anybody may read on the public page, as its API tells it. */
export interface PublicStatus {
  description: string;
  indicator: string;
  components: { name: string; status: string }[];
  incidents: { name: string; status: string; body: string }[];
}

/** Reads the public page as a customer's tool would: every look anew, and no other way in. */
export class PublicPage {
  private status: PublicStatus | null = null;
  private why = 'not looked at yet';
  private readonly changes: { atMs: number; text: string }[] = [];
  private isLooking = false;

  constructor(
    private readonly clock: Clock,
    private readonly serviceUrl: string,
  ) {}

  /** `null` = it cannot be read; `reason` says why. */
  get current(): PublicStatus | null {
    return this.status;
  }

  get reason(): string {
    return this.why;
  }

  /** When it said something else than before, newest first. */
  get history(): readonly { atMs: number; text: string }[] {
    return this.changes;
  }

  async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      const response = await fetch(`${this.serviceUrl}/status/api/v2/summary.json`, {
        signal: AbortSignal.timeout(WITHIN_MS),
      });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      this.status = read(await response.json());
    } catch (error) {
      this.status = null;
      this.why = error instanceof Error ? error.message : String(error);
    } finally {
      this.isLooking = false;
    }
    const text = this.status?.description ?? `cannot be read (${this.why})`;
    if (this.changes[0]?.text === text) return;
    this.changes.unshift({ atMs: this.clock.now(), text });
    this.changes.length = Math.min(this.changes.length, SAID_MAX);
  }
}

function read(given: unknown): PublicStatus {
  const summary = record(given);
  const status = record(summary.status);
  return {
    description: text(status.description),
    indicator: text(status.indicator),
    components: list(summary.components).map((each) => ({ name: text(each.name), status: text(each.status) })),
    incidents: list(summary.incidents).map((each) => ({
      name: text(each.name),
      status: text(each.status),
      body: text(list(each.incident_updates)[0]?.body),
    })),
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

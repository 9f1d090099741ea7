import type { Destination, DestinationKind, Kind, PipelineEvent, ReadBack, Shop } from '../contract.js';

/** One event on its way to one destination, enriched. */
export interface DeliveryItem {
  shop: Pick<Shop, 'id' | 'domain' | 'settings'>;
  event: PipelineEvent;
  /** Derived from (shop, subject, kind, version), never random: the destination's own dedupe key. <= 64 characters. */
  eventId: string;
  /** 1 for the first try. */
  attempt: number;
  /** True when an earlier try ended without an answer that tells whether it took effect. */
  maybeSentBefore: boolean;
}

/** What the world did with one item. */
export type Outcome =
  /** 2xx. `confirmed` only when the destination's own data was read back. */
  | { outcome: 'accepted'; confirmed: boolean; status?: number }
  /** Slow down: 408, 425, 429, or a 5xx with Retry-After. */
  | { outcome: 'throttled'; retryAfterMs: number | null; status?: number; detail: string }
  /** The event itself is refused and would be again: bury it. `lane` says who must act. */
  | { outcome: 'rejected'; lane: 'theirs' | 'ours'; reason: string; detail: string; status?: number }
  /**
   * The destination is in trouble, and trying again later is safe: the request certainly had no effect (refused, DNS,
   * connect time-out), it may be repeated (5xx), or somebody has to mend something first (401, 403, a redirect).
   */
  | { outcome: 'unreachable'; retryAfterMs: number | null; status?: number; detail: string }
  /** No answer that tells: time-out or cut after the request was sent. Safe to repeat only with an idempotent id. */
  | { outcome: 'ambiguous'; detail: string; status?: number };

export type Formatted =
  | { ok: true; request: unknown; bytes: number }
  | { ok: false; lane: 'theirs' | 'ours'; reason: string; detail: string };

/** What `send` needs of an item. The event is not among it: it would be held for as long as a destination takes. */
export interface SendItem {
  kind: Kind;
  eventId: string;
  formatted: Extract<Formatted, { ok: true }>;
}

/**
 * One kind of destination. `format` is pure; `send` is the only part that touches the network, and every item gets
 * exactly one outcome, in order, whatever happens: `send` does not throw for anything the world does.
 */
export interface DestinationAdapter {
  readonly kind: DestinationKind;
  /** Kinds of event it takes; others make no obligation. */
  readonly kinds: ReadonlySet<Kind>;
  /** True when repeating this kind with the same event id has one effect at the far side. */
  isIdempotent(kind: Kind): boolean;
  /** Most items, and most bytes, of one send. */
  readonly batch: { items: number; bytes: number };
  /** Faults of `own` settings, each with its key; empty = fine. */
  checkSettings(own: Readonly<Record<string, unknown>>): { key: string; message: string }[];
  /** Which keys of `own` are secret (sealed at rest, never shown). */
  readonly secretKeys: readonly string[];
  format(item: DeliveryItem, destination: Destination): Formatted;
  /** @param signal aborts at the deadline (10 s by default) */
  send(items: readonly SendItem[], destination: Destination, signal: AbortSignal): Promise<Outcome[]>;
  /** Absent: its far side cannot be asked what it has. */
  readonly readBack?: AdapterReadBack;
  /** Releases connections. */
  close(): Promise<void>;
}

/**
 * How one kind is asked what its far side has: as the port `ReadBack`, of which a kind has only what its means need
 * (`present` for `ids`, `count` for `counts`). As `send`, it does not throw for anything the world does, and every
 * request has its deadline besides `signal`.
 */
export type AdapterReadBack = Pick<ReadBack, 'ability'> & Partial<Pick<ReadBack, 'present' | 'count'>>;

/** The adapter for a destination: the sandbox's have their own, because only they may reach loopback unasked. */
export type AdapterOf = (destination: Pick<Destination, 'kind' | 'world'>) => DestinationAdapter | undefined;

/** What a receiver does to a request instead of answering it well. Mutable at any time; the next request obeys. */
export type Fault =
  | { mode: 'ok' }
  /** Answers well, late. */
  | { mode: 'slow'; ms: number }
  /** Takes the request and never answers. */
  | { mode: 'hang' }
  /** Answers with this status and does nothing. */
  | { mode: 'status'; code: number; body?: string; headers?: Record<string, string> }
  /** 429 with Retry-After. */
  | { mode: 'throttle'; retryAfterS: number }
  /** Does what it is asked, then destroys the connection: the sender sees an error, the far side has the event. */
  | { mode: 'apply-then-cut' }
  /** Destroys the connection without doing anything. */
  | { mode: 'cut-before' }
  /** Does what it is asked, sends the status, and stalls in the middle of the body. */
  | { mode: 'slow-body' }
  /** Does what it is asked and answers 200 with a body that is nothing. */
  | { mode: 'garbage-body' }
  /** Answers with bytes that are no HTTP. */
  | { mode: 'garbage-response' };

export interface Faults {
  fault: Fault;
  /** How many requests the fault takes before all is well again; `null` = until it is changed. */
  times: number | null;
  /** Share of requests the fault takes, 0 to 1, by the receiver's own seeded chance. */
  share: number;
}

/** mulberry32: the same seed makes the same trouble. */
export function seededChance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

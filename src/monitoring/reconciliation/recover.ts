import type { Standing } from '../../pipeline/contract.js';
import type { Gap } from './gap-store.js';

/** What to do about one gap now. */
export type Step =
  | { step: 'close'; state: 'recovered' | 'dead' | 'excluded'; reason: string | null }
  | { step: 'wait'; untilAt: Date }
  /** Fetch it from Shopify: the ledger knows nothing of it, or has nothing left to send. */
  | { step: 'requeue' }
  /** Send again what the ledger has it planned from. */
  | { step: 'restart' };

const REQUEUES_MAX = 3;
/** A requeue that has not shown in the ledger by then was lost on its way, or the router stands. */
const SHOWS_WITHIN_MS = 2 * 60_000;
/** The delivery's own word for a payload that retention has dropped; Shopify may still have the order. */
const PAYLOAD_EXPIRED = 'payload-expired';
const LOOK_FIRST_MS = 3_000;
const LOOK_AT_MOST_MS = 5 * 60_000;

/**
 * Decides what an open gap needs. Pure.
 *
 * @param standing of its obligation; `null` = the ledger has no row
 * @param canConfirm whether its destination can be read back, so that being accepted is not the end of it
 */
export function nextStep(gap: Gap, standing: Standing | null, canConfirm: boolean, nowMs: number): Step {
  switch (standing?.state) {
    case 'accepted':
    case 'confirmed':
      // One that was lost after a 2xx is not back because of that 2xx, nor because of another that proves as little.
      if (gap.stage === 'received') {
        if (!takenSince(gap, standing)) return { step: 'wait', untilAt: later(gap, nowMs) };
        if (canConfirm && standing.state !== 'confirmed') return { step: 'wait', untilAt: later(gap, nowMs) };
      }
      return { step: 'close', state: 'recovered', reason: lateness(standing) };
    case 'ignored':
      return { step: 'close', state: 'excluded', reason: standing.reason };
    case 'failed':
    case 'unconfirmable':
      if (standing.reason === PAYLOAD_EXPIRED) return again(gap, 'requeue', nowMs);
      if (gap.requeuedAt === null || standing.updatedAt > gap.requeuedAt) {
        return { step: 'close', state: 'dead', reason: standing.reason ?? standing.state };
      }
      return again(gap, 'requeue', nowMs);
    case 'queued':
      // On its way, however long that takes: delivery has its own 72 hours.
      return standing.inQueue ? { step: 'wait', untilAt: later(gap, nowMs) } : again(gap, 'restart', nowMs);
    case 'missing':
      return again(gap, 'restart', nowMs);
    case 'expected':
    case undefined:
      return again(gap, 'requeue', nowMs);
  }
}

function again(gap: Gap, step: 'requeue' | 'restart', nowMs: number): Step {
  if (gap.requeuedAt !== null && nowMs - gap.requeuedAt.getTime() < SHOWS_WITHIN_MS) {
    return { step: 'wait', untilAt: later(gap, nowMs) };
  }
  if (gap.requeues >= REQUEUES_MAX) {
    return { step: 'close', state: 'dead', reason: `requeued ${gap.requeues} times without effect` };
  }
  return { step };
}

/** The longer it takes, the less often one looks. */
function later({ requeuedAt, foundAt }: Gap, nowMs: number): Date {
  const waitedMs = nowMs - (requeuedAt ?? foundAt).getTime();
  return new Date(nowMs + Math.min(LOOK_AT_MOST_MS, Math.max(LOOK_FIRST_MS, waitedMs / 2)));
}

function takenSince(gap: Gap, { acceptedAt, confirmedAt }: Standing): boolean {
  const at = Math.max(acceptedAt?.getTime() ?? 0, confirmedAt?.getTime() ?? 0);
  return at >= (gap.requeuedAt ?? gap.foundAt).getTime();
}

const LATE_FOR_GA4_MS = 72 * 3_600_000;

/** Said, not hidden: an event that reached a destination days after it happened may stand at another date there. */
function lateness({ acceptedAt, occurredAt }: Standing): string | null {
  const lateMs = (acceptedAt?.getTime() ?? 0) - occurredAt.getTime();
  return lateMs > LATE_FOR_GA4_MS ? `${Math.round(lateMs / 3_600_000)} hours after it happened` : null;
}

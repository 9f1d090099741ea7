import type { ListingPosition } from './listing.js';

interface Common {
  /** With `restarts`, by which the operation is found at Shopify. */
  mark: string;
  /** Operations that came to nothing before this one. */
  restarts: number;
}

/** To be begun, or begun by somebody who could not say so any more. */
export interface Looking extends Common {
  state: 'looking';
}

export interface Waiting extends Common {
  state: 'waiting';
  operationId: string;
  begunAt: string;
  objects: number;
  /** When `objects` grew last. */
  progressAt: string;
}

export interface Reading extends Common {
  state: 'reading';
  operationId: string;
  /** Orders that the file must hold; `null` = not told. */
  expected: number | null;
  /** What has been listed of the file, in bytes and in orders. */
  byte: number;
  orders: number;
}

export type Position = Looking | Waiting | Reading;

/** @returns `null` when it has not begun, or when this is no position of ours: it begins anew */
export function bulkPositionOf(position: ListingPosition): Position | null {
  if (position === null) return null;
  const { state, mark, restarts, operationId, begunAt, objects, progressAt, expected, byte, orders } = position;
  if (typeof mark !== 'string' || !isCount(restarts)) return null;
  if (state === 'looking') return { state, mark, restarts };
  if (typeof operationId !== 'string') return null;
  if (state === 'waiting' && isInstant(begunAt) && isInstant(progressAt) && isCount(objects)) {
    return { state, mark, restarts, operationId, begunAt, objects, progressAt };
  }
  if (state === 'reading' && isCount(byte) && isCount(orders) && (expected === null || isCount(expected))) {
    return { state, mark, restarts, operationId, expected, byte, orders };
  }
  return null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isInstant(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value));
}

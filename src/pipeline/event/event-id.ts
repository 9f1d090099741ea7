import { hash } from 'node:crypto';
import type { Kind } from '../contract.js';

/**
 * The name one business fact has at every destination, whatever path it came by and however often it is sent
 * (invariant 3). Derived, never random, so that a retry, a replay and a requeue all repeat it.
 *
 * @returns `plb_` and 40 hex digits: 44 characters, within every destination's limit (Segment's messageId: 100)
 */
export function eventId(fact: { shopDomain: string; subjectId: string; kind: Kind; version: string }): string {
  // The shop is part of it because Segment's dedupe is global to all of Segment. JSON keeps the parts apart.
  const name = JSON.stringify([fact.shopDomain.toLowerCase(), fact.subjectId, fact.kind, fact.version]);
  return `plb_${hash('sha256', name, 'hex').slice(0, 40)}`;
}

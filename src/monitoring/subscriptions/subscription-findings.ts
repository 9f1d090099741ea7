import type { Finding, SubscriptionFinding } from '../contract.js';
import { shownAddress } from './address.js';
import { isProvable } from './topics.js';
import type { TopicRecord } from './topic-record.js';

type Named = { id: string; domain: string };

/** Findings that somebody is told of. A missing one is set-up, unless making it fails. */
const TOLD: ReadonlySet<SubscriptionFinding['kind']> = new Set([
  'wrong-address',
  'wrong-format',
  'duplicate',
  'filter',
  'fields',
]);

export function evidenceOf({ domain }: Named): string {
  return `/api/v1/subscriptions?shop=${domain}`;
}

/** @returns `null` when there is no open case */
export function removalOf(shop: Named, record: TopicRecord): Finding | null {
  if (record.goneSince === null) return null;
  return {
    kind: 'subscription-removed',
    subject: `${shop.domain}/${record.topic}`,
    shopId: shop.id,
    facts: {
      topic: record.topic,
      lastSeenAt: record.lastSeenAt,
      goneSince: record.goneSince,
      ...(record.removals > 1 && { removals: record.removals }),
      recreatedAt: record.recreatedAt,
      recreatedBy: record.recreatedBy,
      ...(record.tries > 0 && { tries: record.tries, error: record.error }),
      ...(isProvable(record.topic)
        ? { reconciliation: record.reconciliationId, gapFrom: record.gapFrom }
        : { lost: 'what happened while it was gone is not sent again, and Shopify lists none of it' }),
    },
    evidence: evidenceOf(shop),
  };
}

/** @returns `null` when it is as wanted, or on the way there */
export function faultOf(shop: Named, record: TopicRecord): Finding | null {
  const told = record.findings.filter(
    ({ kind }) => TOLD.has(kind) || (kind === 'missing' && record.tries > 0 && record.goneSince === null),
  );
  if (told.length === 0) return null;
  return {
    kind: 'subscription-wrong',
    subject: `${shop.domain}/${record.topic}`,
    shopId: shop.id,
    facts: {
      topic: record.topic,
      findings: told,
      ...(record.uri !== null && { address: shownAddress(record.uri) }),
      ...(record.tries > 0 && { tries: record.tries, error: record.error }),
    },
    evidence: evidenceOf(shop),
  };
}

/** The version is the app's, the same for every topic: one word a shop is enough. @returns `null` when it is as wanted */
export function versionFaultOf(shop: Named, records: readonly TopicRecord[]): Finding | null {
  const details = new Set(
    records.flatMap(({ findings }) =>
      findings.flatMap(({ kind, detail }) => (kind === 'wrong-version' ? [detail] : [])),
    ),
  );
  if (details.size === 0) return null;
  return {
    kind: 'subscription-wrong',
    subject: `${shop.domain}/api-version`,
    shopId: shop.id,
    facts: { findings: [...details].sort().map((detail) => ({ kind: 'wrong-version', detail })) },
    evidence: evidenceOf(shop),
  };
}

export function blindnessOf(shop: Named, reason: string, since: Date, auditedAt: Date | null): Finding {
  return {
    kind: 'subscription-unknown',
    subject: shop.domain,
    shopId: shop.id,
    facts: { reason, since, lastAuditedAt: auditedAt },
    evidence: evidenceOf(shop),
  };
}

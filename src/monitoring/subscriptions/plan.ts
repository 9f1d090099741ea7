import type { SubscriptionFinding } from '../contract.js';
import { isOurs, isSameAddress, shownAddress, type Address } from './address.js';
import { topicEnum } from './topics.js';

/** A subscription as the Admin API lists it. */
export interface ListedSubscription {
  /** `gid://shopify/WebhookSubscription/…` */
  id: string;
  /** As the enum spells it: `ORDERS_CREATE`. */
  topic: string;
  uri: string;
  filter: string | null;
  format: string;
  /** Empty = every field. */
  includeFields: readonly string[];
  /** `2026-10`; inherited from the app, so no subscription can be given another. */
  apiVersion: string;
  createdAt: Date;
}

export interface Wanted {
  topics: readonly string[];
  uri: string;
  address: Address;
  apiVersion: string;
}

export type Action =
  | { act: 'create'; uri: string }
  /** Changed in place: Shopify does that without an interruption, so there is no moment with none or with two. */
  | { act: 'move'; id: string; uri: string }
  | { act: 'delete'; id: string };

/** What is found, and what mends it; `null` = nobody but a person can, or may. */
export interface PlannedFinding extends SubscriptionFinding {
  mend: readonly Action[] | null;
}

export interface TopicPlan {
  /** As configured; where nobody wants it, as Shopify spells it. */
  topic: string;
  wanted: boolean;
  /** The one that serves; `null` = none of ours. */
  kept: ListedSubscription | null;
  findings: readonly PlannedFinding[];
}

/**
 * Compares what is wanted with what Shopify has, topic by topic. Pure; carrying it out and comparing again finds
 * nothing more to do.
 *
 * @param seen whether a subscription for the topic has been here since the shop was connected
 */
export function planTopics(
  wanted: Wanted,
  listed: readonly ListedSubscription[],
  seen: (topic: string) => boolean,
): TopicPlan[] {
  const ours = Map.groupBy(
    listed.filter(({ uri }) => isOurs(uri, wanted.address)),
    ({ topic }) => topic,
  );
  const plans = wanted.topics.map((topic): TopicPlan => {
    const candidates = bestFirst(ours.get(topicEnum(topic)) ?? [], wanted.uri);
    const [kept] = candidates;
    if (kept === undefined) return { topic, wanted: true, kept: null, findings: [absence(topic, wanted, seen)] };
    return { topic, wanted: true, kept, findings: judge(candidates, wanted) };
  });
  const known = new Set(wanted.topics.map(topicEnum));
  const unwanted = [...ours]
    .filter(([topic]) => !known.has(topic))
    .map(([topic, [first]]): TopicPlan => ({
      topic,
      wanted: false,
      kept: first ?? null,
      findings: [
        {
          kind: 'unwanted',
          detail: `${topic} is sent here and is not among shopify.topics; left as it is`,
          mend: null,
        },
      ],
    }));
  return [...plans, ...unwanted];
}

function absence(topic: string, { uri }: Wanted, seen: (topic: string) => boolean): PlannedFinding {
  const mend: Action[] = [{ act: 'create', uri }];
  return seen(topic)
    ? { kind: 'removed', detail: 'it was here, it is gone, and not by us', mend }
    : { kind: 'missing', detail: 'it has not been here since the shop was connected', mend };
}

/** @param candidates ours for one topic, the one that stays first */
function judge([kept, ...surplus]: readonly ListedSubscription[], wanted: Wanted): PlannedFinding[] {
  if (kept === undefined) return [];
  const findings: PlannedFinding[] = [];
  const move: Action[] = [{ act: 'move', id: kept.id, uri: wanted.uri }];
  if (!isSameAddress(kept.uri, wanted.uri)) {
    findings.push({ kind: 'wrong-address', detail: `it sends to ${shownAddress(kept.uri)}`, mend: move });
  }
  if (kept.format !== 'JSON') {
    findings.push({ kind: 'wrong-format', detail: `it sends ${kept.format}, and only JSON is read`, mend: move });
  }
  if (kept.apiVersion !== wanted.apiVersion) {
    findings.push({
      kind: 'wrong-version',
      detail: `its bodies are those of ${kept.apiVersion}, not of ${wanted.apiVersion}; the version is the app's, set it there`,
      mend: null,
    });
  }
  if (hasFilter(kept)) {
    findings.push({ kind: 'filter', detail: `what does not match its filter is not sent: ${kept.filter}`, mend: null });
  }
  if (lacksUpdatedAt(kept)) {
    findings.push({
      kind: 'fields',
      detail: 'its includeFields leave out updated_at, so Shopify takes a second change for a repeat and drops it',
      mend: null,
    });
  }
  if (surplus.length > 0) {
    findings.push({
      kind: 'duplicate',
      detail: `${surplus.length + 1} subscriptions send the same events here`,
      // What the kept one swallows, another may bring: then a person must choose.
      mend: swallows(kept) ? null : surplus.map(({ id }) => ({ act: 'delete', id })),
    });
  }
  return findings;
}

/** The right address before any other, one that swallows nothing before one that does, the older before the younger. */
function bestFirst(candidates: readonly ListedSubscription[], uri: string): ListedSubscription[] {
  const rank = (one: ListedSubscription) => (isSameAddress(one.uri, uri) ? 0 : 2) + (swallows(one) ? 1 : 0);
  return candidates.toSorted(
    (one, other) =>
      rank(one) - rank(other) ||
      one.createdAt.getTime() - other.createdAt.getTime() ||
      (one.id < other.id ? -1 : one.id > other.id ? 1 : 0),
  );
}

function hasFilter({ filter }: ListedSubscription): boolean {
  return filter !== null && filter !== '';
}

function lacksUpdatedAt({ includeFields }: ListedSubscription): boolean {
  return includeFields.length > 0 && !includeFields.includes('updated_at');
}

function swallows(subscription: ListedSubscription): boolean {
  return hasFilter(subscription) || lacksUpdatedAt(subscription);
}

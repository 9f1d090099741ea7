import type { SubscriptionFinding, SubscriptionState } from '../contract.js';
import type { TopicPlan } from './plan.js';

/** What a look at Shopify can say of a topic. */
export type TopicState = Extract<SubscriptionState, 'ok' | 'missing' | 'removed' | 'recreated' | 'wrong' | 'unwanted'>;

export const BY_US = 'plumbline';
export const BY_OTHERS = 'somebody else';

/** What is remembered of one topic of one shop. An open case is a removal that is not over: `goneSince` is set. */
export interface TopicRecord {
  topic: string;
  state: TopicState;
  since: Date;
  wanted: boolean;
  /** `null` = there is none now. */
  subscriptionId: string | null;
  uri: string | null;
  findings: readonly SubscriptionFinding[];
  /** `null` = never since the shop was connected. */
  firstSeenAt: Date | null;
  /** Before it was gone; while it is there, that is whenever its shop was last audited. */
  lastSeenAt: Date | null;
  goneSince: Date | null;
  /** How often it went within the open case. */
  removals: number;
  /** When Shopify was first asked to make it. Set before asking: who comes after a crash knows whose it is. */
  creatingAt: Date | null;
  recreatedAt: Date | null;
  recreatedBy: string | null;
  reconciliationId: string | null;
  gapFrom: Date | null;
  /** To mend it, in a row, without success. */
  tries: number;
  nextTryAt: Date | null;
  /** What Shopify said to the last try. */
  error: string | null;
}

export interface Look {
  nowAt: Date;
  /** The good look before this one; `null` = there was none since the shop was connected. */
  lastLookAt: Date | null;
}

/**
 * What is known of a topic after a look, before anything is mended. Pure.
 *
 * @param before of this connection of the shop; `null` = nothing is known
 */
export function observe(before: TopicRecord | null, plan: TopicPlan, { nowAt, lastLookAt }: Look): TopicRecord {
  const { kept } = plan;
  const record: TopicRecord = {
    ...(before ?? fresh(plan.topic, nowAt)),
    wanted: plan.wanted,
    subscriptionId: kept?.id ?? null,
    uri: kept?.uri ?? null,
    findings: plan.findings.map(({ kind, detail }) => ({ kind, detail })),
  };
  if (kept !== null) {
    record.firstSeenAt ??= nowAt;
    if (record.goneSince !== null && record.recreatedAt === null) {
      record.recreatedAt = nowAt;
      record.recreatedBy = record.creatingAt === null ? BY_OTHERS : BY_US;
    }
  } else if (record.firstSeenAt !== null && isGoneAnew(record)) {
    record.lastSeenAt = lastLookAt;
    // A second loss before the first is over is one case: what is to be proved reaches back to the first.
    record.goneSince ??= nowAt;
    record.removals += 1;
    record.creatingAt = null;
    record.recreatedAt = null;
    record.recreatedBy = null;
    record.reconciliationId = null;
    record.tries = 0;
    record.nextTryAt = null;
    record.error = null;
  }
  return settled(record, nowAt);
}

function isGoneAnew({ goneSince, recreatedAt }: TopicRecord): boolean {
  return goneSince === null || recreatedAt !== null;
}

/** The case is over: it is there again, and the gap is proved or there is nothing that could prove it. */
export function caseClosed(record: TopicRecord, nowAt: Date): TopicRecord {
  return settled({ ...record, goneSince: null, removals: 0, creatingAt: null, gapFrom: null }, nowAt);
}

/** With the state that its other values come to, and since when. */
export function settled(record: TopicRecord, nowAt: Date): TopicRecord {
  const state = stateOf(record);
  return { ...record, state, since: state === record.state ? record.since : nowAt };
}

function stateOf({ wanted, subscriptionId, goneSince, findings }: TopicRecord): TopicState {
  if (!wanted) return 'unwanted';
  if (subscriptionId === null) return goneSince === null ? 'missing' : 'removed';
  if (goneSince !== null) return 'recreated';
  return findings.length > 0 ? 'wrong' : 'ok';
}

function fresh(topic: string, nowAt: Date): TopicRecord {
  return {
    topic,
    state: 'ok',
    since: nowAt,
    wanted: true,
    subscriptionId: null,
    uri: null,
    findings: [],
    firstSeenAt: null,
    lastSeenAt: null,
    goneSince: null,
    removals: 0,
    creatingAt: null,
    recreatedAt: null,
    recreatedBy: null,
    reconciliationId: null,
    gapFrom: null,
    tries: 0,
    nextTryAt: null,
    error: null,
  };
}

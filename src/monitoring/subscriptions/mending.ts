import { recordAudit } from '../../kernel/audit.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Shop } from '../../pipeline/contract.js';
import { shownAddress } from './address.js';
import { MOVE_AGAIN_AFTER_MS, tryPauseMs } from './pace.js';
import type { Action, TopicPlan } from './plan.js';
import type { Changed, ShopifySubscriptions } from './shopify-subscriptions.js';
import type { SubscriptionBook } from './subscription-book.js';
import { BY_US, settled, type TopicRecord } from './topic-record.js';

const ACTOR = 'subscription-watch';

/** One step of a plan, and which finding it mends. */
export interface Step {
  action: Action;
  mends: ReadonlySet<TopicRecord['findings'][number]['kind']>;
}

/** @param asked somebody wants it now, so pauses after failures do not hold */
export function isDue(record: TopicRecord, steps: readonly Step[], nowMs: number, asked: boolean): boolean {
  if (steps.length === 0) return false;
  const { nextTryAt, tries } = record;
  if (nextTryAt === null || nextTryAt.getTime() <= nowMs || asked) return true;
  // The pause after a move is meant for the next move only: whatever else is wrong is mended at once.
  return tries === 0 && steps.every(({ action }) => action.act !== 'move');
}

/** What mends a plan, each step once, in an order in which no moment is without a subscription. */
export function stepsOf({ findings }: TopicPlan): Step[] {
  const steps = new Map<string, { action: Action; mends: Set<TopicRecord['findings'][number]['kind']> }>();
  for (const { kind, mend } of findings) {
    for (const action of mend ?? []) {
      const key = action.act === 'create' ? 'create' : `${action.act} ${action.id}`;
      const step = steps.get(key) ?? { action, mends: new Set() };
      step.mends.add(kind);
      steps.set(key, step);
    }
  }
  return [...steps.values()].toSorted((one, other) => ORDER[one.action.act] - ORDER[other.action.act]);
}
const ORDER = { create: 0, move: 1, delete: 2 } as const;

export interface Mended {
  record: TopicRecord;
  /** What was done, for people. */
  done: string[];
  /** Shopify does not answer: the other topics of the shop would fare no better. */
  silent: boolean;
}

/** Carries out what a plan says, one topic at a time, and writes down each step before and after it is taken. */
export class Mending {
  constructor(
    private readonly deps: {
      shopify: ShopifySubscriptions;
      book: SubscriptionBook;
      database: Database;
      clock: Clock;
      log: Logger;
    },
  ) {}

  /** @param before what is stored of the topic */
  async mend(shop: Shop, before: TopicRecord, steps: readonly Step[], signal: AbortSignal): Promise<Mended> {
    const { book, clock, shopify } = this.deps;
    let record = before;
    const done: string[] = [];
    for (const [index, { action, mends }] of steps.entries()) {
      if (action.act === 'create' && record.creatingAt === null) {
        record = { ...record, creatingAt: clock.now() };
        await book.saveTopic(shop.id, record, clock.now());
      }
      const answer = await shopify.carryOut(shop, record.topic, action, signal);
      const nowAt = clock.now();
      if (answer.outcome !== 'done') {
        record = failed(record, answer, nowAt);
        await book.saveTopic(shop.id, record, clock.now());
        const { domain } = shop;
        this.deps.log.warn({ shop: domain, topic: record.topic, act: action.act, error: record.error }, 'not mended');
        return { record, done, silent: answer.outcome === 'no-answer' };
      }
      // What takes several steps is mended by the last of them.
      const later = new Set(steps.slice(index + 1).flatMap((step) => [...step.mends]));
      const over = new Set([...mends].filter((kind) => !later.has(kind)));
      record = settled(carriedOut(record, action, answer.id, over, nowAt), nowAt);
      await book.saveTopic(shop.id, record, clock.now());
      await this.write(shop, record.topic, action, answer.id);
      done.push(WORDS[action.act]);
    }
    return { record, done, silent: false };
  }

  private async write(shop: Shop, topic: string, action: Action, id: string): Promise<void> {
    const detail = { id, ...('uri' in action && { uri: shownAddress(action.uri) }) };
    const subject = `${shop.domain}/${topic}`;
    await recordAudit(this.deps.database, this.deps.clock, {
      actor: ACTOR,
      action: `subscription.${action.act}`,
      subject,
      detail,
    });
    this.deps.log.info({ shop: shop.domain, topic, act: action.act, id }, 'subscription changed at Shopify');
  }
}

const WORDS = { create: 'created', move: 'pointed here', delete: 'deleted a second one' } as const;

function failed(record: TopicRecord, answer: Exclude<Changed, { outcome: 'done' }>, nowAt: Date): TopicRecord {
  const tries = record.tries + 1;
  const pauseMs = Math.max(tryPauseMs(tries), answer.outcome === 'no-answer' ? (answer.retryAfterMs ?? 0) : 0);
  return { ...record, tries, error: answer.detail, nextTryAt: new Date(nowAt.getTime() + pauseMs) };
}

function carriedOut(record: TopicRecord, action: Action, id: string, mends: Step['mends'], nowAt: Date): TopicRecord {
  const findings = record.findings.filter(({ kind }) => !mends.has(kind));
  const mended = { ...record, findings, tries: 0, error: null, nextTryAt: null };
  switch (action.act) {
    case 'create':
      return {
        ...mended,
        subscriptionId: id,
        uri: action.uri,
        firstSeenAt: record.firstSeenAt ?? nowAt,
        ...(record.goneSince !== null && { recreatedAt: nowAt, recreatedBy: BY_US }),
      };
    case 'move':
      return { ...mended, uri: action.uri, nextTryAt: new Date(nowAt.getTime() + MOVE_AGAIN_AFTER_MS) };
    case 'delete':
      return { ...mended, nextTryAt: record.nextTryAt };
  }
}

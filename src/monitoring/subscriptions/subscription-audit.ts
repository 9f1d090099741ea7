import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../../kernel/log.js';
import type { RegistryReader, Shop } from '../../pipeline/contract.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { GapProof } from './gap-proof.js';
import { isDue, stepsOf, type Mending, type Step } from './mending.js';
import {
  QUIET_AFTER_MS,
  QUIET_EVERY_MS,
  UNKNOWN_AFTER_LOOKS,
  UNKNOWN_AFTER_MS,
  lookPauseMs,
  nextLookMs,
  nextTurnMs,
} from './pace.js';
import { planTopics, type TopicPlan, type Wanted } from './plan.js';
import type { NoAnswer, ShopifySubscriptions } from './shopify-subscriptions.js';
import type { ShopAudit, StoredTopic, SubscriptionBook } from './subscription-book.js';
import { blindnessOf, faultOf, removalOf, versionFaultOf } from './subscription-findings.js';
import { caseClosed, observe, type TopicRecord } from './topic-record.js';
import { isProvable } from './topics.js';
import { whyNotWatched, type NotWatched } from './wanted.js';

/**
 * Shopify repeats a failed webhook for four hours and drops its retries with the subscription, so what was lost may be
 * that much older than the removal. Source: shopify.dev/changelog/updates-to-webhook-retry-mechanism (read 2026-11)
 */
const RETRIES_SPAN_MS = 4 * 3_600_000;

export interface AuditDeps {
  shopify: ShopifySubscriptions;
  book: SubscriptionBook;
  mending: Mending;
  signals: SignalBook;
  /** `null` = nobody reconciles here: a removal is over when the subscription is there again. */
  gaps: GapProof | null;
  registry: RegistryReader;
  /** When an order of a shop last came in, as far as is known. */
  lastOrderAt: (shopId: string) => Date | null;
  /** `null` = nobody has said where Shopify should call. */
  wantedOf: (shop: Shop) => Wanted | null;
  clock: Clock;
  log: Logger;
}

/**
 * One look at one shop: what is there, what is told, what is mended, and when to look again.
 *
 * Invariant: it is written down first, told second, mended third, and only then is the shop called as it should be. So
 * a crash anywhere is made up for by the next look, and a second look at the same time changes nothing twice: Shopify
 * refuses a second subscription of one address, and a signal is open once.
 */
export class SubscriptionAudit {
  constructor(private readonly deps: AuditDeps) {}

  /** @param taken as it stood when the shop was taken */
  async look(shop: Shop, taken: ShopAudit, signal: AbortSignal): Promise<void> {
    // A look tells of the time at which it began, or of later; whoever asked for one before that has been heard.
    const known = { ...taken, triedAt: this.deps.clock.now() };
    const wanted = this.deps.wantedOf(shop);
    const why = whyNotWatched(shop, wanted);
    if (why !== null) return this.leave(shop, known, why);
    if (wanted === null) return;
    const lastLookAt = known.auditedAt !== null && known.auditedAt > shop.connectedAt ? known.auditedAt : null;
    const [listing, before] = await Promise.all([
      this.deps.shopify.list(shop, signal),
      lastLookAt === null ? new Map<string, StoredTopic>() : this.deps.book.topics(shop.id),
    ]);
    if (listing.outcome !== 'listed') return this.blind(shop, known, listing);
    const seen = (topic: string) => before.get(topic)?.firstSeenAt != null;
    let plans = planTopics(wanted, listing.items, seen);
    if (plans.some((plan) => isNews(plan, before))) {
      // Somebody will be woken: what one look misses, a second one must miss as well.
      const again = await this.deps.shopify.list(shop, signal);
      if (again.outcome !== 'listed') return this.blind(shop, known, again);
      plans = planTopics(wanted, again.items, seen);
    }
    if (!this.isStill(shop)) return this.save(known, { dueAt: this.deps.clock.now() });
    await this.judge(shop, known, plans, before, lastLookAt, signal);
  }

  private async judge(
    shop: Shop,
    known: ShopAudit,
    plans: readonly TopicPlan[],
    before: ReadonlyMap<string, StoredTopic>,
    lastLookAt: Date | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { book, clock } = this.deps;
    const nowAt = clock.now();
    let records = plans.map((plan) => observe(before.get(plan.topic) ?? null, plan, { nowAt, lastLookAt }));
    const changed = records.filter((record) => !isSame(before.get(record.topic), record));
    for (const record of changed) await book.saveTopic(shop.id, record, nowAt);
    const left = await this.forgetOthers(shop, plans, lastLookAt === null ? null : [...before.keys()]);

    const isFine = (record: TopicRecord) => record.state === 'ok' || record.state === 'unwanted';
    // The audit's row is saved last. So what a crash left untold is younger than it, and is told by the next look.
    const isUntold = [...before.values()].some(({ changedAt }) => lastLookAt === null || changedAt >= lastLookAt);
    const wasJudged = (known.state === 'ok' || known.state === 'wrong') && known.failedLooks === 0;
    const isAsBefore = wasJudged && changed.length === 0 && left === 0 && !isUntold;
    const work = plans.map(stepsOf);
    const asked = known.hint !== null;
    const isWork = (record: TopicRecord, index: number) =>
      record.goneSince !== null || isDue(record, work[index] ?? [], nowAt.getTime(), asked);
    if (!isAsBefore || records.some(isWork)) {
      await this.tell(shop, records);
      const after = await this.mend(shop, records, work, asked, signal);
      records = await this.settle(shop, await this.prove(shop, after.records), after.mended);
    }
    const openCase = records.some(({ goneSince }) => goneSince !== null);
    const tries = records.flatMap(({ nextTryAt, tries }) =>
      nextTryAt !== null && tries > 0 ? [nextTryAt.getTime()] : [],
    );
    const endMs = clock.nowMs();
    const turnMs = nextLookMs({ id: shop.id, selling: this.isSelling(shop), openCase }, endMs);
    await this.save(known, {
      state: records.every(isFine) ? 'ok' : 'wrong',
      reason: null,
      auditedAt: known.triedAt,
      failedLooks: 0,
      failingSince: null,
      dueAt: new Date(Math.max(endMs, Math.min(turnMs, ...tries))),
    });
  }

  /** Before anything is mended: what takes long, or fails, must not delay the word. */
  private async tell(shop: Shop, records: readonly TopicRecord[]): Promise<void> {
    for (const record of records) {
      const removal = removalOf(shop, record);
      const fault = faultOf(shop, record);
      if (removal !== null) await this.deps.signals.report(removal);
      if (fault !== null) await this.deps.signals.report(fault);
    }
  }

  private async mend(
    shop: Shop,
    records: readonly TopicRecord[],
    work: readonly (readonly Step[])[],
    asked: boolean,
    signal: AbortSignal,
  ): Promise<{ records: TopicRecord[]; mended: Map<string, string[]> }> {
    const after = [...records];
    const mended = new Map<string, string[]>();
    for (const [index, record] of records.entries()) {
      const steps = work[index] ?? [];
      if (!isDue(record, steps, this.deps.clock.nowMs(), asked)) continue;
      const result = await this.deps.mending.mend(shop, record, steps, signal);
      after[index] = result.record;
      mended.set(record.topic, result.done);
      if (result.silent) break;
    }
    return { records: after, mended };
  }

  /** Asks for one reconciliation over everything that was gone and is there again. */
  private async prove(shop: Shop, records: readonly TopicRecord[]): Promise<TopicRecord[]> {
    const { gaps, book, clock, log } = this.deps;
    const isUnproved = (record: TopicRecord) =>
      record.state === 'recreated' && record.reconciliationId === null && isProvable(record.topic);
    const back = records.filter(isUnproved);
    if (gaps === null || back.length === 0) return [...records];
    const toAt = clock.now();
    const gapFrom = this.gapFrom(shop, back, toAt);
    const topics = back.map(({ topic }) => topic).join(', ');
    let reconciliationId: string;
    try {
      reconciliationId = await gaps.requestReconciliation(shop.id, gapFrom, toAt, `subscription removed: ${topics}`);
    } catch (error) {
      log.error({ shop: shop.domain, err: error }, 'no reconciliation could be asked for; the case stays open');
      return [...records];
    }
    const after = records.map((record) => (isUnproved(record) ? { ...record, reconciliationId, gapFrom } : record));
    for (const record of after) {
      if (record.reconciliationId === reconciliationId) await book.saveTopic(shop.id, record, toAt);
    }
    return after;
  }

  private gapFrom(shop: Shop, back: readonly TopicRecord[], nowAt: Date): Date {
    const seen = back.flatMap(({ lastSeenAt, goneSince }) => lastSeenAt ?? goneSince ?? []);
    const orderAt = this.deps.lastOrderAt(shop.id);
    const earliestMs = Math.min(nowAt.getTime(), ...[...seen, ...(orderAt ? [orderAt] : [])].map((at) => at.getTime()));
    return new Date(earliestMs - RETRIES_SPAN_MS);
  }

  /** Ends the cases that are over, and makes the open signals of the shop what the records say. */
  private async settle(
    shop: Shop,
    records: readonly TopicRecord[],
    mended: ReadonlyMap<string, readonly string[]>,
  ): Promise<TopicRecord[]> {
    const { signals, book, clock } = this.deps;
    const scope = `${shop.domain}/`;
    const settled: TopicRecord[] = [];
    for (const record of records) {
      const done = mended.get(record.topic) ?? [];
      const removal = removalOf(shop, record);
      if (faultOf(shop, record) === null && done.length > 0) {
        await signals.close('subscription-wrong', scope + record.topic, { mended: done });
      }
      if (removal !== null && (await this.isOver(record))) {
        await signals.close('subscription-removed', scope + record.topic, removal.facts);
        const closed = caseClosed(record, clock.now());
        await book.saveTopic(shop.id, closed, clock.now());
        settled.push(closed);
      } else settled.push(record);
    }
    const findings = (of: typeof removalOf) => settled.flatMap((record) => of(shop, record) ?? []);
    await signals.replace('subscription-removed', scope, findings(removalOf));
    const version = versionFaultOf(shop, settled);
    await signals.replace('subscription-wrong', scope, [...findings(faultOf), ...(version === null ? [] : [version])]);
    await signals.close('subscription-unknown', shop.domain);
    return settled;
  }

  private async isOver({ state, wanted, topic, reconciliationId }: TopicRecord): Promise<boolean> {
    if (!wanted) return true;
    if (state !== 'recreated') return false;
    const { gaps } = this.deps;
    if (gaps === null || !isProvable(topic)) return true;
    return reconciliationId !== null && (await gaps.isProved(reconciliationId));
  }

  /** Shopify does not let us look: that is no evidence of anything, and is told when it lasts. */
  private async blind(shop: Shop, known: ShopAudit, { why, detail, retryAfterMs }: NoAnswer): Promise<void> {
    const nowAt = this.deps.clock.now();
    if (!this.isStill(shop)) return this.save(known, { dueAt: nowAt });
    const failedLooks = known.failedLooks + 1;
    const failingSince = known.failingSince ?? nowAt;
    const lasts = failedLooks >= UNKNOWN_AFTER_LOOKS && nowAt.getTime() - failingSince.getTime() >= UNKNOWN_AFTER_MS;
    if (lasts) await this.deps.signals.report(blindnessOf(shop, detail, failingSince, known.auditedAt));
    const { state } = known;
    // What was said before the shop could be looked at says nothing now.
    const before = state === 'ok' || state === 'wrong' || state === 'unknown' ? state : 'pending';
    await this.save(known, {
      state: lasts ? 'unknown' : before,
      reason: detail,
      failedLooks,
      failingSince,
      dueAt: new Date(nowAt.getTime() + lookPauseMs(failedLooks, why, retryAfterMs)),
    });
  }

  /** There is nothing to look at, so nothing can be wrong with it. */
  private async leave(shop: Shop, known: ShopAudit, why: NotWatched): Promise<void> {
    const { state, reason, told, forget } = why;
    const { signals, book, clock } = this.deps;
    const nowAt = clock.now();
    if (known.state !== state || known.reason !== reason) {
      if (forget) {
        const scope = `${shop.domain}/`;
        await signals.replace('subscription-removed', scope, [], { ended: reason });
        await signals.replace('subscription-wrong', scope, [], { ended: reason });
        await book.forgetTopics(shop.id);
      }
      if (told) await signals.report(blindnessOf(shop, reason, nowAt, known.auditedAt));
      else await signals.close('subscription-unknown', shop.domain, { ended: reason });
    }
    const dueAt = new Date(nextTurnMs(shop.id, nowAt.getTime(), QUIET_EVERY_MS));
    const looked = { failedLooks: 0, failingSince: null, auditedAt: forget ? null : known.auditedAt };
    await this.save(known, { state, reason, ...looked, dueAt });
  }

  private async save(known: ShopAudit, change: Partial<ShopAudit> & { dueAt: Date }): Promise<void> {
    const nowAt = this.deps.clock.now();
    const after = { ...known, ...change };
    await this.deps.book.saveAudit({ ...after, since: after.state === known.state ? known.since : nowAt });
  }

  /** False when the shop was uninstalled, or given another token, while Shopify was asked. */
  private isStill(shop: Shop): boolean {
    const now = this.deps.registry.shopById(shop.id);
    return (
      now !== undefined &&
      now.uninstalledAt === null &&
      now.accessToken === shop.accessToken &&
      now.subscriptions === shop.subscriptions
    );
  }

  private isSelling(shop: Shop): boolean {
    const lastMs = Math.max(this.deps.lastOrderAt(shop.id)?.getTime() ?? 0, shop.connectedAt.getTime());
    return this.deps.clock.nowMs() - lastMs < QUIET_AFTER_MS;
  }

  /**
   * Topics that are neither wanted nor there any more.
   *
   * @param known `null` = whatever an earlier connection of the shop has left in the book
   * @returns how many
   */
  private async forgetOthers(
    shop: Shop,
    plans: readonly TopicPlan[],
    known: readonly string[] | null,
  ): Promise<number> {
    const { book } = this.deps;
    const stored = known ?? [...(await book.topics(shop.id)).keys()];
    const left = stored.filter((topic) => !plans.some((plan) => plan.topic === topic));
    if (left.length > 0) await book.forgetTopics(shop.id, left);
    return left.length;
  }
}

/** It was there, and this look misses it for the first time. */
function isNews(plan: TopicPlan, before: ReadonlyMap<string, TopicRecord>): boolean {
  const record = before.get(plan.topic);
  return plan.kept === null && record?.firstSeenAt != null && record.subscriptionId !== null;
}

function isSame(before: TopicRecord | undefined, after: TopicRecord): boolean {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(after);
}

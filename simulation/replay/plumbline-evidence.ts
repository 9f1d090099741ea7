import { ABOUT_DAYS_GONE_BY } from '../days-gone-by.js';
import type { Stage } from '../stage.js';
import type { Removal } from './removals.js';
import type { DueOrder, Evidence } from './tally.js';
import type { Interval, OwnIncident } from './telling.js';

/** What stands open at the end: all zero when everything is settled. */
export interface Settled {
  waiting: number;
  deadLetters: number;
  /** Without those that are about days gone by. */
  openSignals: number;
  /** Orders the far side has and that Plumbline's own books do not call arrived, or the other way round. */
  disagreeing: number;
  /** Orders that arrived and have not been read back at every destination. */
  unconfirmed: number;
}

interface PurchaseRow extends Record<string, unknown> {
  subjectId: string;
  atMs: string | null;
  isConfirmed: boolean;
}

/**
 * What Plumbline made of the story. That an order is there is read from the far sides; when it came, from the ledger,
 * whose every instant is the timeline's.
 */
export async function plumblineEvidence(
  stage: Stage,
  orders: readonly DueOrder[],
  mails: Evidence['mails'],
): Promise<{ evidence: Evidence; settled: Settled }> {
  const { database } = stage.product.pipeline;
  const atGa4 = new Set(stage.farSides.ga4.purchases.names.map((name) => name.split(' ')[0] ?? ''));
  const rows = await stage.farSides.warehouseRows();
  const inWarehouse = new Set(rows.filter(({ kind }) => kind === 'purchase').map(({ subjectId }) => subjectId));
  const ledger = await database.rows<PurchaseRow>(
    `select subject_id as "subjectId",
            case when bool_and(accepted_at is not null) then (extract(epoch from max(accepted_at)) * 1000)::bigint::text end
              as "atMs", bool_and(confirmed_at is not null) as "isConfirmed"
       from pipeline.ledger where kind = 1 group by shop_id, subject_id`,
  );
  const booked = new Map(ledger.map(({ subjectId, atMs }) => [subjectId, atMs === null ? null : Number(atMs)]));
  const arrivedAtMs = new Map<number, number>();
  const confirmed = new Set(ledger.filter(({ isConfirmed }) => isConfirmed).map(({ subjectId }) => subjectId));
  let disagreeing = 0;
  for (const { id } of orders) {
    const bookedAtMs = booked.get(String(id)) ?? null;
    const isThere = atGa4.has(String(id)) && inWarehouse.has(String(id));
    if (isThere !== (bookedAtMs !== null)) disagreeing++;
    if (isThere && bookedAtMs !== null) arrivedAtMs.set(id, bookedAtMs);
  }
  const [open] = await database.rows<{ waiting: number; letters: number; signals: number }>(
    `select (select count(*)::int from pipeline.delivery) as waiting,
            (select count(*)::int from pipeline.dead_letter where replayed_at is null) as letters,
            (select count(*)::int from monitoring.signal where closed_at is null and kind <> all ($1::text[])) as signals`,
    [ABOUT_DAYS_GONE_BY],
  );
  const opened = await database.rows<{ at: Date }>("select at from monitoring.signal_change where change = 'opened'");
  return {
    evidence: {
      arrivedAtMs,
      removals: await removalsOf(stage),
      mails,
      signalsAtMs: opened.map(({ at }) => at.getTime()),
    },
    settled: {
      waiting: open?.waiting ?? 0,
      deadLetters: open?.letters ?? 0,
      openSignals: open?.signals ?? 0,
      disagreeing,
      unconfirmed: [...arrivedAtMs.keys()].filter((id) => !confirmed.has(String(id))).length,
    },
  };
}

/** When Plumbline knew of a subscription that was gone or of an order that was missing. */
export async function knownTroubles({ product }: Stage): Promise<Interval[]> {
  const signals = await product.pipeline.database.rows<{ openedAt: Date; closedAt: Date | null }>(
    `select opened_at as "openedAt", closed_at as "closedAt" from monitoring.signal
      where kind in ('order-missing', 'subscription-removed') and closed_at is distinct from opened_at`,
  );
  return signals.map(({ openedAt, closedAt }) => ({
    fromMs: openedAt.getTime(),
    toMs: closedAt?.getTime() ?? null,
  }));
}

/** Plumbline's own incidents, without those that are about days gone by. */
export async function ownIncidents({ product }: Stage): Promise<OwnIncident[]> {
  const { items } = await product.alerting.incidents.incidents({ state: 'all' }, { limit: 200 });
  return items
    .filter(({ cause, state }) => state === 'resolved' || !ABOUT_DAYS_GONE_BY.some((kind) => cause.startsWith(kind)))
    .map(({ cause, state, touchesOrders, proofs }) => ({
      cause,
      isResolved: state === 'resolved',
      touchesOrders,
      proofs: proofs.length,
    }));
}

/** Shopify's removals beside the signals that tell of them: the first change of one about that shop and topic since. */
async function removalsOf(stage: Stage): Promise<Removal[]> {
  const changes = await stage.product.pipeline.database.rows<{ subject: string; at: Date }>(
    `select s.subject, c.at from monitoring.signal_change c join monitoring.signal s on s.id = c.signal_id
      where s.kind = 'subscription-removed' and c.change in ('opened', 'updated') order by c.seq`,
  );
  return stage.world.subscriptions.removals
    .filter(({ why }) => why !== 'api')
    .map(({ domain, topic, atMs }) => {
      const told = changes.find(
        ({ subject, at }) => subject.includes(domain) && subject.includes(topic) && at.getTime() >= atMs,
      );
      return { domain, topic, atMs, noticedAtMs: told?.at.getTime() ?? null, restoredAtMs: null };
    });
}

import { ABOUT_DAYS_GONE_BY } from '../days-gone-by.js';
import type { Stage } from '../stage.js';
import type { WorldPlan } from './plan.js';
import { stateOf, kindOf, type Kind, type State } from '../../src/pipeline/contract.js';
import type { OrderBody } from '../../sandbox/shopify/order-body.js';

const AT_REST: readonly State[] = ['accepted', 'confirmed'];
/** A fact of these kinds has one version for ever; the others are told anew with every change. */
const ONCE: readonly Kind[] = ['purchase', 'order-cancelled', 'refund'];

interface LedgerRow {
  domain: string;
  subjectId: string;
  orderId: string;
  kind: Kind;
  destination: string;
  state: State;
  reason: string | null;
}

/** What must have come of an order, as Shopify has it. */
interface Owed {
  domain: string;
  kind: Kind;
  subjectId: string;
  orderId: string;
  isTest: boolean;
}

/** The invariants of ARCHITECTURE.md, held against the outside world. @returns what is broken; empty = nothing */
export async function verdict(stage: Stage, plan: WorldPlan): Promise<string[]> {
  const ledger = await readLedger(stage);
  const owed = owedBy(stage);
  return [
    ...[...stage.product.failures].map((failure) => `a duty failed: ${failure}`),
    ...(await everyAnswerIsKept(stage)),
    ...everyOrderIsAccountedFor(stage, owed, ledger),
    ...(await onceInEffect(stage, owed, ledger)),
    ...(await confirmedIsThere(stage, ledger)),
    ...(await newerStays(stage)),
    ...(await nothingIsOpen(stage)),
    ...(await onlyTrueGaps(stage, plan)),
  ];
}

/** Invariant 1: what was answered 2xx has been written down, and has an outcome. */
async function everyAnswerIsKept({ post, product }: Stage): Promise<string[]> {
  const rows = await product.pipeline.database.rows<{ id: string }>('select webhook_id as id from pipeline.webhook');
  const known = new Set(rows.map(({ id }) => id));
  return [...post.stored].filter((id) => !known.has(id)).map((id) => `webhook ${id} was answered 200 and is gone`);
}

/** Invariant 5: each obligation is in one state, at rest or with its reason. */
function everyOrderIsAccountedFor({ farSides }: Stage, owed: readonly Owed[], ledger: readonly LedgerRow[]): string[] {
  const byName = new Map(ledger.map((row) => [`${row.kind} ${row.subjectId} ${row.destination}`, row]));
  const names = farSides.declarations().map(({ name }) => name);
  const broken: string[] = [];
  for (const { kind, subjectId, isTest } of owed) {
    for (const destination of names) {
      const what = `${kind} ${subjectId} at ${destination}`;
      const row = byName.get(`${kind} ${subjectId} ${destination}`);
      // GA4 has no word for every kind; a webhook of ours and a warehouse take them all.
      if (row === undefined && destination === 'ga4' && kind !== 'purchase') continue;
      if (row === undefined) broken.push(`${what} is in nobody's books`);
      else if (isTest && row.state !== 'ignored') broken.push(`${what} is a test order and ${row.state}`);
      else if (!isTest && !AT_REST.includes(row.state) && row.reason === null) {
        broken.push(`${what} ended as ${row.state} without a reason`);
      } else if (!isTest && kind === 'purchase' && !AT_REST.includes(row.state)) {
        broken.push(`${what} ended as ${row.state} (${row.reason ?? 'no reason'})`);
      }
    }
  }
  for (const row of ledger) {
    const isSettled = [...AT_REST, 'ignored', 'expected', 'unconfirmable'].includes(row.state);
    if (!isSettled) broken.push(`${row.kind} ${row.subjectId} at ${row.destination} ended as ${row.state}`);
  }
  return broken;
}

/** Invariant 3: one fact, one id, everywhere. */
async function onceInEffect(
  { farSides }: Stage,
  owed: readonly Owed[],
  ledger: readonly LedgerRow[],
): Promise<string[]> {
  const broken: string[] = [];
  const warehouse = new Map(
    (await farSides.warehouseRows()).map((row) => [`${row.kind} ${row.subjectId}`, row.eventId]),
  );
  const atHook = new Map<string, string[]>();
  for (const [id, event] of farSides.hook.events) {
    const name = `${String(event['kind'])} ${String(event['subject_id'])}`;
    atHook.set(name, [...(atHook.get(name) ?? []), id]);
  }
  const clients = new Map<string, number>();
  for (const name of farSides.ga4.purchases.names) {
    const order = name.split(' ')[0] ?? '';
    clients.set(order, (clients.get(order) ?? 0) + 1);
  }
  const isAccepted = new Set(
    ledger.filter(({ state }) => AT_REST.includes(state)).map((r) => `${r.kind} ${r.subjectId} ${r.destination}`),
  );
  for (const { kind, subjectId, orderId } of owed.filter((one) => ONCE.includes(one.kind))) {
    const name = `${kind} ${subjectId}`;
    const eventId = warehouse.get(name);
    const ids = atHook.get(name) ?? [];
    if (isAccepted.has(`${name} hook`) && ids.length !== 1)
      broken.push(`${name} is at the webhook under ${ids.length} ids`);
    if (isAccepted.has(`${name} lake`) && eventId === undefined) broken.push(`${name} is not in the warehouse`);
    if (eventId !== undefined && ids.some((id) => id !== eventId))
      broken.push(`${name} has two ids: ${eventId}, ${ids.join()}`);
    const isAtSegment = eventId !== undefined && farSides.segment.messageIds.counts.has(eventId);
    if (isAccepted.has(`${name} segment`) && !isAtSegment) broken.push(`${name} is not at Segment`);
    const identities = clients.get(orderId) ?? 0;
    if (kind === 'purchase' && isAccepted.has(`${name} ga4`) && identities !== 1) {
      broken.push(`${name} is at GA4 under ${identities} identities`);
    }
  }
  // GA4 does not drop a repeated refund: more than there were would be money taken back twice.
  const refunds = new Map<string, number>();
  for (const row of ledger.filter(({ destination, kind }) => destination === 'ga4' && kind !== 'purchase')) {
    refunds.set(row.orderId, (refunds.get(row.orderId) ?? 0) + 1);
  }
  for (const [order, count] of farSides.ga4.refunds.counts) {
    if (count > (refunds.get(order) ?? 0)) broken.push(`order ${order} was refunded ${count} times at GA4`);
  }
  return broken;
}

/** Invariant 6: confirmed means that the far side has it. */
async function confirmedIsThere({ farSides }: Stage, ledger: readonly LedgerRow[]): Promise<string[]> {
  const inWarehouse = new Set((await farSides.warehouseRows()).map((row) => `${row.kind} ${row.subjectId}`));
  const atGa4 = new Set(farSides.ga4.purchases.names.map((name) => name.split(' ')[0] ?? ''));
  return ledger
    .filter(({ state }) => state === 'confirmed')
    .filter(({ kind, subjectId, orderId, destination }) => {
      if (destination === 'lake') return !inWarehouse.has(`${kind} ${subjectId}`);
      return destination === 'ga4' && kind === 'purchase' && !atGa4.has(orderId);
    })
    .map(({ kind, subjectId, destination }) => `${kind} ${subjectId} is confirmed and not at ${destination}`);
}

/** Invariant 8: of all versions that arrived anywhere, the warehouse has the newest. */
async function newerStays({ farSides }: Stage): Promise<string[]> {
  const newest = new Map<string, string>();
  for (const event of farSides.hook.events.values()) {
    const name = `${String(event['kind'])} ${String(event['subject_id'])}`;
    const version = versionOf(event['payload']);
    if (version !== null && Number(version) > Number(newest.get(name) ?? '-1')) newest.set(name, version);
  }
  const rows = await farSides.warehouseVersions();
  return rows
    .filter(({ kind, subjectId, version }) => Number(version) < Number(newest.get(`${kind} ${subjectId}`) ?? '-1'))
    .map(
      ({ kind, subjectId, version }) =>
        `${kind} ${subjectId} in the warehouse is of version ${version}, not the newest`,
    );
}

function versionOf(payload: unknown): string | null {
  if (typeof payload !== 'object' || payload === null) return null;
  const { version } = payload as { version?: unknown };
  return typeof version === 'string' ? version : null;
}

/**
 * Invariant 10, the other way round: when all is well again, nothing says otherwise. What is about the last days is left out:
 * things did go wrong in them.
 */
async function nothingIsOpen({ product }: Stage): Promise<string[]> {
  const { database } = product.pipeline;
  const signals = await database.rows<{ kind: string; subject: string; facts: unknown }>(
    `select kind, subject, facts from monitoring.signal where closed_at is null and kind <> all ($1::text[])`,
    [ABOUT_DAYS_GONE_BY],
  );
  const [left] = await database.rows<{ waiting: number; held: number; letters: number }>(
    `select (select count(*)::int from pipeline.delivery) as waiting,
            (select count(*)::int from pipeline.held where released_at is null) as held,
            (select count(*)::int from pipeline.dead_letter where replayed_at is null and reason <> 'ambiguous-not-repeatable') as letters`,
  );
  return [
    ...signals.map(({ kind, subject, facts }) => `signal ${kind} of ${subject} is open: ${JSON.stringify(facts)}`),
    ...(left?.waiting ? [`${left.waiting} deliveries still wait`] : []),
    ...(left?.held ? [`${left.held} webhooks are still held`] : []),
    ...(left?.letters ? [`${left.letters} dead letters`] : []),
  ];
}

/** Nothing is reported as missing that was there: not logged although it was, or not received although nobody lost it. */
async function onlyTrueGaps({ product }: Stage, { faults }: WorldPlan): Promise<string[]> {
  const gaps = await product.pipeline.database.rows<{
    orderId: string;
    stage: string;
    cause: string;
    destination: string;
    wasLogged: boolean | null;
  }>(
    `select g.order_id as "orderId", g.stage, g.cause, d.name as destination, l.logged_at < g.found_at as "wasLogged"
       from monitoring.gap g join pipeline.destination d on d.id = g.destination_id
       left join pipeline.ledger l on l.shop_id = g.shop_id and l.subject_id = g.subject_id and l.kind = g.kind
                                  and l.destination_id = g.destination_id`,
  );
  const losers = new Set(faults.flatMap(({ fault }) => (fault.kind === 'lost' ? [fault.name] : [])));
  return gaps
    .filter(({ stage, cause, destination, wasLogged }) => {
      if (stage === 'logged') return wasLogged === true;
      // Buried because nobody can tell whether it is there.
      if (cause === 'dead-letter: ambiguous-not-repeatable') return false;
      return stage === 'received' && !losers.has(destination as 'ga4' | 'lake');
    })
    .map(
      ({ orderId, stage, cause, destination }) =>
        `order ${orderId} was called missing at ${destination} (${stage}, ${cause}) and was not`,
    );
}

function owedBy({ world }: Stage): Owed[] {
  return [...world.shops.values()].flatMap(({ store, book }) =>
    book.rows().flatMap(({ id }) => {
      const order = book.get(id);
      return order === undefined ? [] : owedFor(store.domain, order, world.truth.of(id)?.dueAtMs ?? null);
    }),
  );
}

function owedFor(domain: string, order: OrderBody, dueAtMs: number | null): Owed[] {
  const orderId = String(order.id);
  const base = { domain, orderId, isTest: order.test };
  const owed: Owed[] = order.refunds.map(({ id }) => ({ ...base, kind: 'refund', subjectId: String(id) }));
  // The world calls no test order due, but it is owed its reason all the same once it is paid.
  const isPaidTest = order.test && order.financial_status === 'paid';
  if (dueAtMs !== null || isPaidTest) owed.push({ ...base, kind: 'purchase', subjectId: orderId });
  if (order.cancelled_at !== null) owed.push({ ...base, kind: 'order-cancelled', subjectId: orderId });
  return owed;
}

async function readLedger({ product }: Stage): Promise<LedgerRow[]> {
  const rows = await product.pipeline.database.rows<{
    domain: string;
    subjectId: string;
    orderId: string;
    kind: number;
    destination: string;
    state: number;
    reason: string | null;
  }>(
    `select s.domain, l.subject_id as "subjectId", l.order_id as "orderId", l.kind, d.name as destination, l.state, l.reason
       from pipeline.ledger l join pipeline.shop s on s.id = l.shop_id join pipeline.destination d on d.id = l.destination_id`,
  );
  return rows.map((row) => ({ ...row, kind: kindOf(row.kind), state: stateOf(row.state) }));
}

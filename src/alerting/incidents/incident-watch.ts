import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { ReconciliationDesk } from '../../monitoring/contract.js';
import type { RegistryReader } from '../../pipeline/contract.js';
import { familyOf } from './cause.js';
import type { Course } from './course.js';
import type { FigureReader, Figures } from './figures.js';
import { LEFT, UNKNOWN_SHOP, gateOf, judgeProof, windowToProve, type ProofWindow } from './gate.js';
import type { Incident, IncidentShop, IncidentStore } from './incident-store.js';
import { titleOf } from './public-words.js';
import { orders } from './severity.js';

const LOOK_EVERY_MS = 10_000;
/** A look that takes long is taken less often: it is not to be most of what the database does. */
const REST_TIMES = 10;
/** While one process looks no other does; it is long over, or its process is dead, by then. */
const LOOK_MAX_MS = 2 * 60_000;
/** So many runs of one incident are under way at a time: a fleet's proof must not hold up everybody's hourly one. */
export const RUNS_AT_ONCE = 20;
/** Of the shops whose run cannot look, so many are looked at in one look. */
const HINDERED_A_LOOK = 5;
/** More shops are told of at most every so often, unless they have doubled. */
const SCOPE_EVERY_MS = 15 * 60_000;

export interface IncidentWatchDeps {
  database: Database;
  store: IncidentStore;
  course: Course;
  figures: FigureReader;
  reconciliation: ReconciliationDesk;
  registry: Pick<RegistryReader, 'shops' | 'destinations'>;
  clock: Clock;
  log: Logger;
}

/** What a look has found of one shop's proof. */
interface FoundProof {
  before: IncidentShop;
  after: IncidentShop;
}

/**
 * Looks at every incident that is not resolved: how it stands with its orders, how bad that is, what the public was
 * promised, and whether it is proved; and resolves it when it is.
 *
 * Invariant: what was looked up without the lock is written only while the incident is still as it was looked at - above
 * all mitigated at the same instant. A proof of a mitigation that was none is dropped.
 */
export class IncidentWatch {
  constructor(private readonly deps: IncidentWatchDeps) {}

  async round(): Promise<Round> {
    const { store, clock } = this.deps;
    const beganMs = clock.nowMs();
    const id = await store.claimLook(new Date(beganMs), new Date(beganMs + LOOK_MAX_MS));
    if (id === null) return 'idle';
    await this.look(id);
    return 'busy';
  }

  /** One look, now, whenever the next is due. */
  async look(id: string): Promise<void> {
    const { store, database, clock, figures } = this.deps;
    const beganMs = clock.nowMs();
    const seen = await store.incident(id);
    if (seen === null || seen.resolvedAt !== null) return;
    const found = await figures.read({
      world: seen.world,
      shops: new Set(await store.shops(id)),
      destinations: this.destinationsOf(seen),
      startedAt: seen.startedAt,
      mitigatedAt: seen.mitigatedAt,
    });
    const proofs = await this.proofs(seen);
    await database.transaction(async (client) => {
      const incident = await store.lock(client, id);
      if (incident === null || incident.resolvedAt !== null) return;
      await this.write(client, incident, seen, found, proofs);
      const nowMs = clock.nowMs();
      incident.lookAt = new Date(nowMs + Math.max(LOOK_EVERY_MS, REST_TIMES * (nowMs - beganMs)));
      await store.save(client, incident);
    });
  }

  private async write(
    client: Queryable,
    incident: Incident,
    seen: Incident,
    found: Figures,
    proofs: readonly FoundProof[],
  ): Promise<void> {
    const { store, course, clock } = this.deps;
    const isAsSeen =
      incident.mitigatedAt?.getTime() === seen.mitigatedAt?.getTime() &&
      incident.startedAt.getTime() === seen.startedAt.getTime();
    await this.takeFigures(client, incident, found);
    if (isAsSeen) await this.takeProofs(client, incident, proofs);
    const nowMs = clock.nowMs();
    const proof = await store.proofs(client, incident.id);
    const alerts = await store.alertStakes(client, incident.id);
    await course.judge(client, incident, {
      alerts: alerts.worst,
      removedShops: alerts.removedShops,
      shopsConnected: this.deps.registry.shops().filter((shop) => isThere(shop) && shop.world === incident.world)
        .length,
      lost: found.lost,
      unrecoverable: found.unrecoverable,
      late: found.late,
      lostShare: found.lostShare,
      lateShare: found.lateShare,
      openMs: incident.mitigatedAt === null ? nowMs - incident.declaredAt.getTime() : null,
      sinceGrowthMs: incident.lossGrewAt === null ? null : nowMs - incident.lossGrewAt.getTime(),
    });
    const { touchesOrders, alertsOpen, mitigatedAt, resolvedAt } = incident;
    const open = found.lost - found.unrecoverable;
    const gate = gateOf(
      {
        touchesOrders,
        alertsOpen,
        mitigatedAt,
        resolvedAt,
        shops: proof.shops,
        unproved: proof.unproved,
        waiting: [],
        open,
      },
      nowMs,
    );
    // What is judged to be open was read before the lock; it holds only for the incident as it was then.
    if (gate.length === 0 && isAsSeen) return course.resolve(client, incident, proof, null);
    await this.keepPromise(client, incident, proof.shops, proof.shops - proof.unproved);
  }

  private async takeFigures(client: Queryable, incident: Incident, found: Figures): Promise<void> {
    const { store, clock } = this.deps;
    const at = clock.now();
    const bad = (one: { lost: number; late: number }): number => one.lost + one.late;
    if (bad(found) > incident.ordersLost + incident.ordersLate) incident.lossGrewAt = at;
    incident.ordersLost = found.lost;
    incident.ordersUnrecoverable = found.unrecoverable;
    incident.ordersRecovered = found.recovered;
    incident.ordersLate = found.late;
    incident.ordersQueued = found.queued;
    // Told when nothing is under way any more, or when there are twice as many: each of a thousand is no line.
    const isDone = found.lost === found.unrecoverable && found.recovered > incident.recoveredTold;
    if (isDone || found.recovered >= Math.max(1, 2 * incident.recoveredTold)) {
      incident.recoveredTold = found.recovered;
      const rest = found.lost > 0 ? `, ${orders(found.lost)} missing` : ', none missing';
      const text = `${orders(found.recovered)} recovered so far${rest}`;
      await store.append(client, incident.id, { at, kind: 'recovery', actor: null, text, evidence: '/api/v1/gaps' });
    }
  }

  private async takeProofs(client: Queryable, incident: Incident, proofs: readonly FoundProof[]): Promise<void> {
    const { store, clock } = this.deps;
    const at = clock.now();
    for (const { before, after } of proofs) {
      await store.markShop(client, incident.id, after, at);
      const { shop, reconciliationId: run } = after;
      const entry = (text: string, evidence: string | null): Promise<void> =>
        store.append(client, incident.id, { at, kind: 'proof', actor: null, text, evidence });
      const evidence = run === null ? null : `/api/v1/reconciliations/${run}`;
      if (after.provedAt !== null) {
        await entry(run === null ? `${shop}: ${LEFT}` : `${shop} is proved by reconciliation ${run}`, evidence);
      } else if (run !== null && before.reconciliationId !== run) {
        await entry(`${shop}: reconciliation ${run} asked for`, evidence);
      }
    }
  }

  /** More shops than were told of, or the promised time has come. */
  private async keepPromise(client: Queryable, incident: Incident, shops: number, proved: number): Promise<void> {
    const { course, clock } = this.deps;
    const nowMs = clock.nowMs();
    if (incident.declaredBy === null) incident.title = titleOf(incident.cause, incident.shopsCounted ? shops : 0);
    const mitigated = incident.mitigatedAt !== null;
    const still = { kind: 'still', mitigated: mitigated && incident.touchesOrders, proved, of: shops } as const;
    // It may have become one for the public: `tell` decides.
    if (!incident.isPublic) return course.tell(client, incident, mitigated ? still : { kind: 'declared' }, shops);
    const toldForMs = nowMs - (incident.toldAt ?? incident.declaredAt).getTime();
    const isWider =
      !mitigated &&
      incident.shopsTold > 0 &&
      (shops >= 2 * incident.shopsTold || (shops > incident.shopsTold && toldForMs >= SCOPE_EVERY_MS));
    if (isWider) return course.tell(client, incident, { kind: 'scope' }, shops);
    if (incident.nextUpdateAt !== null && nowMs >= incident.nextUpdateAt.getTime()) {
      await course.tell(client, incident, still, shops);
    }
  }

  /** Judges the runs that are under way, and asks for those that are missing. */
  private async proofs(seen: Incident): Promise<FoundProof[]> {
    const { store, clock } = this.deps;
    const { mitigatedAt } = seen;
    if (mitigatedAt === null || !seen.touchesOrders) return [];
    const window = windowToProve({ startedAt: seen.startedAt, mitigatedAt }, clock.nowMs());
    const ofWorld = this.deps.registry.shops().filter(({ world }) => world === seen.world);
    const look = async (before: IncidentShop): Promise<FoundProof> => {
      const shop = ofWorld.find(({ domain }) => domain === before.shop);
      if (shop === undefined) {
        return { before, after: { ...before, provedAt: null, detail: UNKNOWN_SHOP, isHindered: true } };
      }
      if (isThere(shop)) return { before, after: await this.proofOf(before, window, mitigatedAt) };
      const left = { reconciliationId: null, provedAt: clock.now(), detail: LEFT, isHindered: false };
      return { before, after: { ...before, ...left } };
    };
    const found: FoundProof[] = [];
    for (const before of await store.underWay(seen.id)) found.push(await look(before));
    const free = RUNS_AT_ONCE - found.filter(({ after }) => after.provedAt === null && !after.isHindered).length;
    for (const before of await store.waiting(seen.id, 'hindered', HINDERED_A_LOOK)) found.push(await look(before));
    for (const before of await store.waiting(seen.id, 'unasked', Math.max(0, free))) found.push(await look(before));
    return found;
  }

  private async proofOf(before: IncidentShop, window: ProofWindow, mitigatedAt: Date): Promise<IncidentShop> {
    const { reconciliation, clock } = this.deps;
    const nowMs = clock.nowMs();
    const own = before.reconciliationId === null ? null : await reconciliation.reconciliation(before.reconciliationId);
    const judged = own && judgeProof(own, window, mitigatedAt, nowMs);
    const proved = { provedAt: clock.now(), detail: null, isHindered: false };
    if (judged?.proved) return { ...before, ...proved };
    // Somebody else may have asked for one that proves it as well.
    const { items } = await reconciliation.reconciliations({ shop: before.shop, state: 'complete' }, { limit: 3 });
    const other = items.find((run) => judgeProof(run, window, mitigatedAt, nowMs).proved);
    if (other) return { ...before, ...proved, reconciliationId: other.id };
    if (judged && !judged.again) return { ...before, detail: judged.missing, isHindered: judged.hindered };
    const id = await reconciliation.request(before.shop, window.fromAt, window.toAt, 'incident');
    const detail = `reconciliation ${id ?? ''} is queued`;
    return {
      ...before,
      reconciliationId: id,
      askedAt: clock.now(),
      detail: judged ? `${detail}, because ${judged.missing}` : detail,
      isHindered: false,
    };
  }

  /** Of an outage: those of its kind. Else all. */
  private destinationsOf({ cause, world }: Incident): ReadonlySet<string> | null {
    if (familyOf(cause) !== 'destination') return null;
    const kind = cause.slice(cause.indexOf(':') + 1);
    const ofKind = this.deps.registry.destinations().filter((one) => one.kind === kind && one.world === world);
    return ofKind.length === 0 ? null : new Set(ofKind.map(({ name }) => name));
  }
}

function isThere({ uninstalledAt }: { uninstalledAt: Date | null }): boolean {
  return uninstalledAt === null;
}

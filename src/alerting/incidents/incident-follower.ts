import type { Clock } from '../../kernel/clock.js';
import type { Database, Queryable } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { RegistryReader } from '../../pipeline/contract.js';
import type { AlertChange, AlertReader, AlertView } from '../contract.js';
import {
  beganAt,
  causeOf,
  componentsOf,
  isRoot,
  placeOf,
  touchesOrders,
  type OpenIncident,
  type PlacedAlert,
} from './cause.js';
import type { Course } from './course.js';
import type { AlertJoin, Incident, IncidentStore, Member, NewEntry } from './incident-store.js';
import { titleOf } from './public-words.js';

const CURSOR = 'incidents';
/** One transaction's worth: short enough to lock for, large enough for a storm. */
const CHANGES_A_ROUND = 200;

export interface FollowerDeps {
  database: Database;
  store: IncidentStore;
  course: Course;
  alerts: Pick<AlertReader, 'changes' | 'signalsOf'>;
  registry: Pick<RegistryReader, 'shops' | 'destinations'>;
  clock: Clock;
  log: Logger;
}

/** More signals than any alert of many shops has: a fleet's worth. */
const SIGNALS_MAX = 100_000;

/** @property counted whether the alert names its shops */
interface Joining extends PlacedAlert {
  counted: boolean;
}

/** What one round has read and changed so far; it is written when the round ends. */
interface Batch {
  client: Queryable;
  /** The shops of alerts of many, by alert; empty = it names none. */
  named: ReadonlyMap<string, readonly string[]>;
  members: Map<string, Member>;
  /** Locked. */
  incidents: Map<string, Incident>;
  open: OpenIncident[];
  /** What is to be written; always before anything else is, so that a timeline has its order. */
  joins: AlertJoin[];
  refreshed: Map<string, { alert: AlertView; closedAt: Date | null }>;
  shops: Map<string, string[]>;
  entries: NewEntry[];
  /** Incidents whose alerts are others than before: judged once, when the round ends. */
  changed: Set<string>;
  /** What the public has to hear of it when the round ends. */
  news: Map<string, ('declared' | 'reopened' | 'mitigated')[]>;
}

/**
 * Makes incidents of what happens to alerts.
 *
 * Invariant: what a change does and the cursor that passes it commit together, under the cursor's lock. So each change is
 * worked once, by whichever process, and a crash anywhere leaves it either wholly done or wholly to be done.
 */
export class IncidentFollower {
  constructor(private readonly deps: FollowerDeps) {}

  async round(): Promise<Round> {
    const { database, store, alerts } = this.deps;
    // What is read through the pool is read before the lock: who waits for a connection while it holds one can wait for ever.
    const seen = await store.cursor(CURSOR);
    const changes = await alerts.changes(seen, CHANGES_A_ROUND);
    const last = changes.at(-1);
    if (last === undefined) return 'idle';
    const named = await this.shopsNamed(changes);
    return database.transaction(async (client): Promise<Round> => {
      const seq = await store.lockCursor(client, CURSOR);
      if (seq === null) return 'idle';
      // Another process has worked them meanwhile.
      if (seq !== seen) return 'busy';
      await this.work(client, changes, named);
      await store.moveCursor(client, CURSOR, last.seq);
      return changes.length === CHANGES_A_ROUND ? 'busy' : 'idle';
    });
  }

  /** Of the alerts of many shops that are in no incident yet: which those are, by alert. */
  private async shopsNamed(changes: readonly AlertChange[]): Promise<Map<string, readonly string[]>> {
    const { database, store, alerts } = this.deps;
    const many = changes.filter(({ alert, change }) => change !== 'closed' && isGrave(alert) && isOfMany(alert));
    const ids = [...new Set(many.map(({ alert }) => alert.id))];
    const known = ids.length === 0 ? new Map<string, Member>() : await store.members(database, ids);
    const named = new Map<string, readonly string[]>();
    for (const id of ids.filter((each) => !known.has(each))) {
      const signals = await alerts.signalsOf(id, SIGNALS_MAX);
      named.set(id, [...new Set(signals.flatMap((signal) => signal.shop ?? []))]);
    }
    return named;
  }

  private async work(
    client: Queryable,
    changes: readonly AlertChange[],
    named: ReadonlyMap<string, readonly string[]>,
  ): Promise<void> {
    const { store, course } = this.deps;
    const near = changes.flatMap(({ alert: { id, foldedInto, inhibitedBy } }) => [id, foldedInto, inhibitedBy]);
    const ids = [...new Set(near.filter((id) => id !== null))];
    const batch: Batch = {
      client,
      named,
      members: await store.members(client, ids),
      incidents: new Map(),
      open: await store.open(client),
      joins: [],
      refreshed: new Map(),
      shops: new Map(),
      entries: [],
      changed: new Set(),
      news: new Map(),
    };
    for (const change of changes) {
      const member = batch.members.get(change.alert.id);
      if (member) await this.follow(batch, change, member);
      else await this.place(batch, change);
    }
    await this.flush(batch);
    for (const incident of batch.incidents.values()) {
      const shops = batch.open.find(({ id }) => id === incident.id)?.shops.size ?? 0;
      if (batch.changed.has(incident.id)) await this.judge(client, incident);
      // Who declared it by hand has named it.
      if (incident.declaredBy === null) incident.title = titleOf(incident.cause, incident.shopsCounted ? shops : 0);
      for (const kind of batch.news.get(incident.id) ?? []) await course.tell(client, incident, { kind }, shops);
      await store.save(client, incident);
    }
  }

  /** Of an alert that is in an incident already. */
  private async follow(batch: Batch, change: AlertChange, member: Member): Promise<void> {
    const { alert, at, actor, detail } = change;
    const incident = await this.locked(batch, member.incidentId);
    if (incident === null || member.closedAt !== null) return;
    const entry = (kind: 'alert-changed' | 'alert-acknowledged' | 'alert-closed', text: string): void => {
      batch.entries.push({ incidentId: incident.id, at, kind, actor, text, evidence: alert.evidence });
    };
    batch.refreshed.set(alert.id, { alert, closedAt: change.change === 'closed' ? at : null });
    const why = detail === null ? '' : ` (${detail})`;
    switch (change.change) {
      case 'opened':
      case 'changed':
        entry('alert-changed', `${alert.summary}${why}`);
        batch.changed.add(incident.id);
        return;
      case 'folded':
        return entry('alert-changed', `Told as one with others of its kind: ${alert.summary}`);
      case 'unfolded':
        return entry('alert-changed', `Told by itself again: ${alert.summary}`);
      case 'muted':
        return entry('alert-changed', `Kept quiet${why}: ${alert.summary}`);
      case 'unmuted':
        return entry('alert-changed', `Quiet no more${why}: ${alert.summary}`);
      case 'acknowledged':
        return entry('alert-acknowledged', `Acknowledged${why}: ${alert.summary}`);
      case 'unacknowledged':
        return entry('alert-acknowledged', `Acknowledged no more${why}: ${alert.summary}`);
      case 'closed':
        member.closedAt = at;
        incident.alertsOpen -= 1;
        entry('alert-closed', `${alert.summary}${why}`);
        if (incident.alertsOpen > 0) return;
        await this.flush(batch);
        await this.deps.course.mitigate(batch.client, incident, at, null, 'the last of its alerts has closed');
        this.update(batch, incident);
        addNews(batch, incident.id, 'mitigated');
    }
  }

  /** Of an alert that is in none: it opens one, joins one, or is no incident. */
  private async place(batch: Batch, { alert, at, change }: AlertChange): Promise<void> {
    if (change === 'closed' || !isGrave(alert)) return;
    const { shops, counted } = this.shopsOf(alert, batch.named.get(alert.id) ?? []);
    const kind = this.kindOf(alert);
    const cause = causeOf(alert, kind);
    const placed: Joining = { world: alert.world, cause, shops, counted, beganAt: beganAt(alert), at };
    const chief = alert.foldedInto ?? alert.inhibitedBy;
    if (chief !== null) {
      // Told by another alert: it is part of that one's incident, or of none.
      const known = batch.members.get(chief);
      const open = known && batch.open.find(({ id }) => id === known.incidentId);
      if (open) await this.join(batch, alert, placed, open.id, open.cause);
      return;
    }
    const place = placeOf(placed, batch.open);
    if (place) return this.join(batch, alert, placed, place.id, place.cause);
    await this.flush(batch);
    const incident = await this.deps.course.begin(batch.client, {
      world: alert.world,
      title: titleOf(cause, counted ? shops.length : 0),
      cause,
      severity: alert.severity,
      severityReason: `an alert of severity ${alert.severity}`,
      components: componentsOf(cause, alert.facts, kind),
      touchesOrders: touchesOrders(cause),
      shopsCounted: counted,
      startedAt: placed.beganAt,
      declaredAt: at,
      declaredBy: null,
      text: alert.summary,
      evidence: alert.evidence,
    });
    this.deps.log.warn({ incident: incident.id, cause, severity: incident.severity }, 'incident declared');
    batch.incidents.set(incident.id, incident);
    batch.open.push({ ...incident, shops: new Set() });
    addNews(batch, incident.id, 'declared');
    await this.join(batch, alert, { ...placed, counted: true }, incident.id, cause);
  }

  private async join(batch: Batch, alert: AlertView, placed: Joining, id: string, cause: string): Promise<void> {
    const { course } = this.deps;
    const { client } = batch;
    const incident = await this.locked(batch, id);
    if (incident === null) return;
    const open = batch.open.find((each) => each.id === id);
    batch.joins.push({ incidentId: id, alert, at: placed.at });
    batch.members.set(alert.id, { incidentId: id, closedAt: null });
    const { summary: text, evidence } = alert;
    batch.entries.push({ incidentId: id, at: placed.at, kind: 'alert-joined', actor: null, text, evidence });
    // A symptom that names no shop says nothing of which they are; a root that names none concerns them all.
    const joining = placed.counted || isRoot(placed.cause) ? placed.shops : [];
    const fresh = joining.filter((shop) => !open?.shops.has(shop));
    if (!placed.counted && fresh.length > 0) incident.shopsCounted = false;
    batch.shops.set(id, [...(batch.shops.get(id) ?? []), ...fresh]);
    incident.alertsOpen += 1;
    incident.joinedAt = placed.at;
    if (placed.beganAt < incident.startedAt) incident.startedAt = placed.beganAt;
    const components = componentsOf(placed.cause, alert.facts, this.kindOf(alert));
    incident.components = [...new Set([...incident.components, ...components])];
    incident.touchesOrders ||= touchesOrders(placed.cause);
    if (incident.cause !== cause) {
      incident.cause = cause;
      await this.flush(batch);
      await course.enter(client, incident, 'identified', placed.at, null, `Put down to ${cause}: ${alert.summary}`);
    }
    if (incident.mitigatedAt !== null) {
      await this.flush(batch);
      await course.goOn(client, incident, placed.at, null, alert.summary);
      addNews(batch, id, 'reopened');
    }
    this.update(batch, incident, fresh);
    batch.changed.add(id);
  }

  private async flush(batch: Batch): Promise<void> {
    const { store } = this.deps;
    const { client, joins, refreshed, shops, entries } = batch;
    await store.join(client, joins.splice(0));
    await store.refreshAlerts(client, [...refreshed.values()]);
    refreshed.clear();
    for (const [id, added] of shops) await store.addShops(client, id, added);
    shops.clear();
    await store.appendAll(client, entries.splice(0));
  }

  /** Only what the alerts say; what the orders say follows with the next look. */
  private async judge(client: Queryable, incident: Incident): Promise<void> {
    const { worst, removedShops } = await this.deps.store.alertStakes(client, incident.id);
    await this.deps.course.judge(client, incident, {
      alerts: worst,
      removedShops,
      shopsConnected: this.connected(incident.world).length,
      lost: incident.ordersLost,
      unrecoverable: incident.ordersUnrecoverable,
      late: incident.ordersLate,
      lostShare: null,
      lateShare: null,
      openMs: null,
      sinceGrowthMs: null,
    });
  }

  private async locked(batch: Batch, id: string): Promise<Incident | null> {
    const known = batch.incidents.get(id);
    if (known) return known;
    const incident = await this.deps.store.lock(batch.client, id);
    if (incident === null || incident.resolvedAt !== null) return null;
    batch.incidents.set(id, incident);
    return incident;
  }

  /** What is placed later in this round sees what this one has changed. */
  private update({ open }: Batch, incident: Incident, fresh: readonly string[] = []): void {
    const index = open.findIndex(({ id }) => id === incident.id);
    const known = open[index];
    if (known)
      open[index] = { ...incident, shops: fresh.length > 0 ? new Set([...known.shops, ...fresh]) : known.shops };
  }

  /**
   * The shops of an alert: its own; of one of many shops, those of its signals; else every shop that its destinations, or
   * the service, work for, because nobody knows which of them are concerned.
   */
  private shopsOf(alert: AlertView, named: readonly string[]): { shops: readonly string[]; counted: boolean } {
    const { shop, destination, world } = alert;
    if (shop !== null) return { shops: [shop], counted: true };
    if (named.length > 0) return { shops: named, counted: true };
    const connected = this.connected(world);
    const kind = this.kindOf(alert);
    if (destination === null && kind === null) return { shops: connected.map(({ domain }) => domain), counted: false };
    const concerned = this.deps.registry
      .destinations()
      .filter((one) => (destination === null ? one.kind === kind : one.name === destination));
    const ids = new Set(concerned.map(({ id }) => id));
    const shops = connected.filter(({ destinationIds }) => destinationIds.some((id) => ids.has(id)));
    return { shops: shops.map(({ domain }) => domain), counted: false };
  }

  private connected(world: AlertView['world']) {
    return this.deps.registry.shops().filter((shop) => shop.world === world && shop.uninstalledAt === null);
  }

  /** Of its destination; an alert about a whole kind says which in its facts. */
  private kindOf({ destination, facts }: AlertView): string | null {
    if (destination === null) {
      const { destinationKind } = facts;
      return typeof destinationKind === 'string' ? destinationKind : null;
    }
    return this.deps.registry.destinations().find(({ name }) => name === destination)?.kind ?? null;
  }
}

/** What has come and gone before anybody was told of it is no news. */
function addNews({ news }: Batch, id: string, kind: 'declared' | 'reopened' | 'mitigated'): void {
  const before = news.get(id) ?? [];
  const undone = kind === 'reopened' ? 'mitigated' : kind === 'mitigated' ? 'reopened' : null;
  news.set(id, before.at(-1) === undone ? before.slice(0, -1) : [...before, kind]);
}

function isOfMany({ shop, shops, destination }: AlertView): boolean {
  return shop === null && shops > 0 && destination === null;
}

/** What opens an incident or joins one. What a person has silenced is expected, and is none. */
function isGrave({ class: alertClass, severity, state, silencedBy }: AlertView): boolean {
  return alertClass === 'page' && severity <= 2 && state === 'open' && silencedBy === null;
}

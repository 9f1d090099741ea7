import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { SignalReader } from '../../monitoring/contract.js';
import type { DestinationKind, World } from '../../pipeline/contract.js';
import { CATALOGUE, GROUP_WAIT_MS, inhibitedByName, ruleNamed } from '../catalogue.js';
import type { AlertClass } from '../contract.js';
import { AlertStore, type Wakes } from './alert-store.js';
import { collapse } from './collapse.js';
import { fold, foldingOf, keysOf, type Book, type Folding } from './fold.js';
import { look, recordOpened, type Said, type Surroundings } from './look.js';
import { liveKey, type AlertRecord, type Membership } from './record.js';

/** Changes folded in one transaction: some hundred milliseconds of work at most. */
const BATCH = 2_000;
/** Alerts looked at in one transaction. */
const LOOKS = 1_000;

export interface AlertRoundDeps {
  database: Database;
  clock: Clock;
  log: Logger;
  signals: Pick<SignalReader, 'changes'>;
  /** The world of what is about no shop and no destination. */
  worldOfService: () => World;
  kindOfDestination: (name: string) => DestinationKind | null;
  /** Who hears of an alert. */
  listeners: Surroundings['listeners'];
}

/**
 * From signals to alerts and to what is to be said.
 *
 * Nobody leads: any number of processes run these rounds. Whoever locks the cursor works, the others pass.
 *
 * Invariant: a change of a signal, what it does to alerts, what is to be said of it and the step of the cursor commit
 * together. Killed at any instant, each change is folded once.
 */
export class AlertRound {
  constructor(private readonly deps: AlertRoundDeps) {}

  async round(): Promise<Round> {
    const folded = await this.foldNext();
    const looked = await this.lookAtDue();
    return folded || looked ? 'busy' : 'idle';
  }

  /**
   * Whoever opened while nobody was there to be told is told when there is somebody, and not what is over by then.
   *
   * @param listening what people of a world are told
   */
  async wakeUntold(listening: readonly { world: World; class: AlertClass }[]): Promise<Round> {
    if (listening.length === 0) return 'idle';
    await this.deps.database.transaction(async (client) => {
      const store = new AlertStore(client);
      if ((await store.tryLock()) !== null) await store.wakeUntold(listening, this.deps.clock.now());
    });
    return 'idle';
  }

  /** @returns whether there may be more */
  private async foldNext(): Promise<boolean> {
    const { database, signals } = this.deps;
    const position = await new AlertStore(database).position();
    // Read before the lock is held: what is read is appended for ever, and who holds a lock asks for no connection.
    const changes = await signals.changes(position, BATCH);
    if (changes.length === 0) return false;
    const foldings = changes.map((change) => foldingOf(change, this.seenOf(change.signal)));
    return database.transaction(async (client) => {
      const store = new AlertStore(client);
      const seq = await store.tryLock();
      if (seq === null) return false;
      // Somebody else was here meanwhile.
      const rest = foldings.filter(({ change }) => BigInt(change.seq) > BigInt(seq));
      await this.foldBatch(store, rest);
      const last = rest.at(-1);
      if (last) await store.advance(last.change.seq);
      return changes.length === BATCH;
    });
  }

  private async foldBatch(store: AlertStore, foldings: readonly Folding[]): Promise<void> {
    if (foldings.length === 0) return;
    const now = this.deps.clock.now();
    const members = await store.members([...new Set(foldings.map(({ seen }) => seen.id))]);
    const live = await store.live(keysOf(foldings), [...new Set(members.map(({ alertId }) => alertId))]);
    const book: Book = {
      live: new Map(live.map((alert) => [liveKey(alert.world, alert.dedupeKey), alert])),
      byId: new Map(live.map((alert) => [alert.id, alert])),
      members: Map.groupBy(members, ({ signalId }) => signalId),
      touched: new Set<AlertRecord>(),
      touchedMembers: new Set<Membership>(),
      nextId: await store.ids(opensAtMost(foldings, members)),
    };
    const surroundings = {
      now,
      sources: [],
      groups: new Map(),
      silences: await store.silences(now),
      listeners: this.deps.listeners,
    };
    const said: Said = { changes: [], notifications: [] };
    for (const folding of foldings) fold(book, folding, surroundings, said);
    const touched = [...book.touched];
    await store.writeAlerts(touched);
    await store.writeMembers([...book.touchedMembers]);
    await store.append(said.changes, said.notifications);
    await store.wake(
      {
        ...nobody(now),
        fleets: causesOf(touched.filter(({ name }) => ruleNamed(name)?.collapses === true)),
        sourcesOver: touched.filter(({ state }) => state === 'closed').map(({ id }) => id),
      },
      now,
    );
  }

  /** @returns whether there may be more */
  private async lookAtDue(): Promise<boolean> {
    const { database, clock, listeners } = this.deps;
    const now = clock.now();
    const [due] = await database.rows<{ some: boolean }>(
      'select exists (select from alerting.alert where look_at <= $1) as some',
      [now],
    );
    if (due?.some !== true) return false;
    return database.transaction(async (client) => {
      const store = new AlertStore(client);
      if ((await store.tryLock()) === null) return false;
      const alerts = await store.due(now, LOOKS);
      if (alerts.length === 0) return false;
      const surroundings: Surroundings = {
        now,
        listeners,
        groups: await store.groups(groupKeysOf(alerts)),
        sources: await store.sources(sourceNamesOf(alerts), now),
        silences: await store.silences(now),
      };
      const said: Said = { changes: [], notifications: [] };
      const fleets = collapse(alerts, surroundings, await store.ids(alerts.length));
      for (const fleet of fleets) recordOpened(fleet, said);
      const before = new Map(alerts.map((alert) => [alert.id, { ...alert }]));
      // The alerts of many shops first: the others are folded into them.
      const ordered = [...fleets, ...alerts.filter((one) => one.isFleet), ...alerts.filter((one) => !one.isFleet)];
      for (const alert of ordered) {
        // An open alert of many shops is in the groups as well, and must be one with the row that is looked at.
        const group = alert.isFleet ? surroundings.groups.get(liveKey(alert.world, alert.dedupeKey)) : undefined;
        if (group) group.fleet = alert;
        look(alert, surroundings, said);
      }
      await store.writeAlerts(ordered);
      await store.append(said.changes, said.notifications);
      await store.wake(wakesOf(ordered, before, surroundings), now);
      return true;
    });
  }

  private seenOf(signal: Folding['change']['signal']): Folding['seen'] {
    const { id, kind, subject, shop, destination, facts, evidence } = signal;
    return {
      id,
      kind,
      subject,
      shop,
      destination,
      facts,
      evidence,
      world: signal.world ?? this.deps.worldOfService(),
      destinationKind: destination === null ? null : this.deps.kindOfDestination(destination),
    };
  }
}

/** How many alerts a batch may open: one for each time that a signal enters one. */
function opensAtMost(foldings: readonly Folding[], members: readonly Membership[]): number {
  const known = new Set(members.map(({ signalId }) => signalId));
  return foldings.reduce((sum, { seen, targets }) => sum + (known.has(seen.id) ? 2 : 1) * targets.length, 0);
}

function causesOf(alerts: readonly AlertRecord[]): { world: World; key: string }[] {
  const causes = new Map<string, { world: World; key: string }>();
  for (const { world, cause } of alerts) if (cause !== null) causes.set(liveKey(world, cause), { world, key: cause });
  return [...causes.values()];
}

function groupKeysOf(alerts: readonly AlertRecord[]): { world: World; key: string }[] {
  const fleets = alerts.filter(({ isFleet }) => isFleet).map((fleet) => ({ ...fleet, cause: fleet.dedupeKey }));
  return causesOf([...alerts, ...fleets]);
}

function sourceNamesOf(alerts: readonly AlertRecord[]): string[] {
  const names = new Set(alerts.map(({ name }) => name));
  const by = CATALOGUE.filter(({ name }) => names.has(name)).flatMap((rule) => rule.inhibitedBy.map((one) => one.by));
  return [...new Set(by)];
}

const nobody = (now: Date): Wakes => ({
  fleets: [],
  fleetsAt: new Date(now.getTime() + GROUP_WAIT_MS),
  sourcesOver: [],
  targets: [],
  fleetsOpened: [],
  fleetsOver: [],
  raised: [],
});

function wakesOf(
  looked: readonly AlertRecord[],
  before: ReadonlyMap<string, AlertRecord>,
  { now, groups }: Surroundings,
): Wakes {
  const wakes = nobody(now);
  const raised = new Map<string, Wakes['raised'][number]>();
  for (const alert of looked) {
    const { id, world, name, cause, dedupeKey, isFleet, state } = alert;
    const was = before.get(id);
    const opened = state === 'open' && was?.state !== 'open';
    const closed = state === 'closed' && was?.state !== 'closed';
    const wasQuiet = was !== undefined && (was.inhibitedBy !== null || was.silencedBy !== null);
    const isQuiet = alert.inhibitedBy !== null || alert.silencedBy !== null;
    if (cause !== null && ruleNamed(name)?.collapses === true && wasQuiet !== isQuiet)
      wakes.fleets.push({ world, key: cause });
    if (opened && isFleet) wakes.fleetsOpened.push({ world, key: dedupeKey });
    if (closed && isFleet) wakes.fleetsOver.push(id);
    if (closed || alert.silencedBy !== null) wakes.sourcesOver.push(id);
    if (opened && alert.silencedBy === null) {
      for (const { target, equal } of inhibitedByName(name)) {
        const field = <Field extends 'shop' | 'destination' | 'scope'>(one: Field) =>
          equal.includes(one) ? alert[one] : null;
        if (equal.some((one) => alert[one] === null)) continue;
        wakes.targets.push({
          name: target,
          world,
          shop: field('shop'),
          destination: field('destination'),
          scope: field('scope'),
        });
      }
    }
    const group = cause === null ? undefined : groups.get(liveKey(world, cause));
    const floor = group ? ruleNamed(name)?.severityOfMany?.(group.shops) : null;
    if (cause !== null && floor != null && (was === undefined || was.severity > floor)) {
      raised.set(liveKey(world, cause), { world, key: cause, severity: floor });
    }
  }
  wakes.raised = [...raised.values()];
  return wakes;
}

import type { ComponentId, IncidentUpdate, IncidentView } from '../alerting/contract.js';
import type { Heartbeat, SignalView } from '../monitoring/contract.js';
import type { Shop, World } from '../pipeline/contract.js';
import type { PublicState } from './contract.js';
import { fleetProof, type FleetProof } from './fleet-proof.js';
import { countWords, instantWords, publicText } from './public-words.js';
import {
  publicId,
  type Snapshot,
  type SnapshotComponent,
  type SnapshotEntry,
  type SnapshotIncident,
  type Trouble,
} from './snapshot.js';
import { dutiesBehind, troublesOfIncidents, troublesOfSignals, type Fleet } from './troubles.js';

/** A round of the slowest may take two minutes, and is told of by its heartbeat; past this it is not done. */
export const LOOK_LIMIT_MS = 6 * 60_000;

/** The order of components on every screen. */
const KINDS = ['ga4', 'segment', 'postgres', 'webhook'];

/** Everything that the page is made of, read at one time. */
export interface Facts {
  nowMs: number;
  world: World;
  /** Connected, of this world. */
  shops: readonly Pick<Shop, 'domain' | 'destinationIds'>[];
  destinations: readonly (Fleet['destinations'][number] & { id: number })[];
  /** Open, of this world or of the service itself. */
  signals: readonly Pick<SignalView, 'kind' | 'shop' | 'destination' | 'facts'>[];
  /** By domain. */
  comparedUntilMs: ReadonlyMap<string, number | null>;
  /** When each duty of monitoring was last done. */
  heartbeats: readonly Heartbeat[];
  /** Every one that is open, and the newest of those that are over. Newest first. */
  incidents: readonly { incident: IncidentView; updates: readonly IncidentUpdate[] }[];
  /** Whether more is open than was read: what is wrong with a component may be among the rest. */
  isCut: boolean;
}

/** Components of a fleet, in their order: delivery is one for each kind of destination in use. */
export function componentsOf(destinations: Facts['destinations']): ComponentId[] {
  const kinds = new Set(destinations.filter(({ enabled }) => enabled).map(({ kind }) => kind as string));
  const ordered = [...kinds].sort((one, other) => KINDS.indexOf(one) - KINDS.indexOf(other));
  return ['intake', 'processing', ...ordered.map((kind) => `delivery:${kind}` as const), 'reconciliation', 'status'];
}

/** What is wrong with each component, and what proves that it works. Pure. */
export function composeComponents(facts: Facts): Pick<SnapshotComponent, 'id' | 'troubles' | 'proof'>[] {
  const publish = publisherOf(facts);
  const signalled = troublesOfSignals(facts.signals, facts);
  const told = troublesOfIncidents(
    facts.incidents.map(({ incident }) => incident).filter((incident) => incident.public),
    facts,
    publish,
  );
  return componentsOf(facts.destinations).map((id) => {
    if (id === 'status') return { id, troubles: told.get(id) ?? [], proof: 'publication' };
    const proved = proofFor(id, facts);
    const found = [...(told.get(id) ?? []), ...(signalled.get(id) ?? [])];
    return {
      id,
      troubles: [...found, ...unprovedStores(id, proved), ...unwatched(id, facts), ...unread(facts)],
      proof: proved.proof,
    };
  });
}

/**
 * What the public reads of incidents: those that a customer could notice, and others once somebody has told of them. No
 * store's name, whoever wrote the text. Pure.
 */
export function composeIncidents(
  facts: Facts,
  before: (component: ComponentId, atMs: number) => PublicState,
): SnapshotIncident[] {
  const publish = publisherOf(facts);
  return facts.incidents.flatMap(({ incident, updates }): SnapshotIncident[] => {
    if (!incident.public && updates.length === 0) return [];
    const declaredAtMs = incident.declaredAt.getTime();
    const told = updates.map(({ id, at, state, body }) => ({
      id: publicId(`update:${incident.id}:${id}`),
      atMs: at.getTime(),
      state,
      body: publish(body),
    }));
    const first = {
      id: publicId(`update:${incident.id}:declared`),
      atMs: declaredAtMs,
      state: 'investigating' as const,
      body: 'We are looking into it.',
    };
    return [
      {
        id: incident.id,
        title: publish(incident.title),
        severity: incident.severity,
        state: incident.state,
        components: incident.components.map((id) => ({ id, before: before(id, declaredAtMs) })),
        stores: incident.shops.length,
        touchesOrders: incident.touchesOrders,
        ordersLost: incident.ordersLost,
        ordersUnrecoverable: incident.ordersUnrecoverable,
        ordersLate: incident.ordersLate,
        ordersRecovered: incident.ordersRecovered,
        startedAtMs: incident.startedAt.getTime(),
        declaredAtMs,
        mitigatedAtMs: incident.mitigatedAt?.getTime() ?? null,
        resolvedAtMs: incident.resolvedAt?.getTime() ?? null,
        nextUpdateAtMs: incident.nextUpdateAt?.getTime() ?? null,
        updates: told.length === 0 ? [first] : told,
      },
    ];
  });
}

/** What people say of components: no store's name in it either. Pure. */
export function composeEntries(facts: Facts, entries: readonly SnapshotEntry[]): SnapshotEntry[] {
  const publish = publisherOf(facts);
  return entries.map((entry) => ({ ...entry, note: publish(entry.note) }));
}

/** The publishable part of what the snapshot says; the store adds since when. */
export type Composed = Omit<Snapshot, 'components' | 'createdAtMs' | 'changedAtMs'> & {
  components: ReturnType<typeof composeComponents>;
};

/** Stores whose orders are owed to a component: of a kind of destination, those that send there. */
function proofFor(id: ComponentId, { shops, destinations, comparedUntilMs, nowMs }: Facts): FleetProof {
  const ids = new Set(destinations.filter(({ kind }) => `delivery:${kind}` === id).map((each) => each.id));
  const concerned = id.startsWith('delivery:')
    ? shops.filter(({ destinationIds }) => destinationIds.some((each) => ids.has(each)))
    : shops;
  return fleetProof(
    concerned.map(({ domain }) => comparedUntilMs.get(domain) ?? null),
    nowMs,
  );
}

/** Stores beyond the few that a proof may leave out make it unknown; those few are told of. */
function unprovedStores(id: ComponentId, { stores, stale, proof }: FleetProof): Trouble[] {
  if (stores === 0)
    return [{ state: 'unknown', words: 'No store is connected yet, so there is nothing to prove it by.' }];
  if (id !== 'reconciliation' || stale === 0 || proof === null) return [];
  const words = `Of ${countWords(stale, 'store')} nothing has been proved for two hours.`;
  return [{ state: 'degraded_performance', words }];
}

function unwatched(id: ComponentId, { heartbeats, nowMs }: Facts): Trouble[] {
  const oldestMs = Math.min(...[...dutiesBehind(id)].map((name) => beatOf(name, heartbeats)));
  if (nowMs - oldestMs <= LOOK_LIMIT_MS) return [];
  const since =
    oldestMs === 0 ? 'Nothing has watched it yet.' : `Nothing has watched it since ${instantWords(oldestMs, nowMs)}.`;
  return [{ state: 'unknown', words: since }];
}

function unread({ isCut }: Facts): Trouble[] {
  return isCut ? [{ state: 'unknown', words: 'More is open than this page can read.' }] : [];
}

/** 0 = never. */
function beatOf(duty: string, heartbeats: readonly Heartbeat[]): number {
  return heartbeats.find(({ name }) => name === duty)?.beatAt.getTime() ?? 0;
}

/** What a kind is called is no secret, also when a destination is called so. */
function publisherOf({ shops, destinations }: Facts): (text: string) => string {
  const names = destinations.map(({ name }) => name).filter((name) => !KINDS.includes(name));
  const secret = new Set([...shops.map(({ domain }) => domain), ...names]);
  return (text) => publicText(text, secret);
}

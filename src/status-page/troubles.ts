import type { ComponentId, IncidentView } from '../alerting/contract.js';
import { JUDGES, SIGNAL_KINDS, type SignalKind, type SignalView } from '../monitoring/contract.js';
import type { Destination, Shop } from '../pipeline/contract.js';
import type { PublicState } from './contract.js';
import { countWords } from './public-words.js';
import type { Trouble } from './snapshot.js';

/** Who could be touched, so that one store of three hundred is not told as an outage of all. */
export interface Fleet {
  shops: readonly Pick<Shop, 'domain'>[];
  destinations: readonly Pick<Destination, 'name' | 'kind' | 'enabled'>[];
}

/** From which share of the stores (or destinations) touched a component counts as down in part, and as down. */
const PARTIAL_FROM = 0.25;
const MAJOR_FROM = 0.9;

type Signal = Pick<SignalView, 'kind' | 'shop' | 'destination' | 'facts'>;

/** A part of the line; `delivery` is that of every kind of destination. */
type Part = 'intake' | 'processing' | 'delivery' | 'reconciliation';

interface Meaning {
  /** Every part in which a signal of the kind could ever show: these are only watched while it is looked for. */
  parts: readonly Part[];
  /** Where a signal shows, within those parts; nowhere when the public cannot notice it. */
  components: (signal: Signal, fleet: Fleet) => readonly ComponentId[];
  state: (touched: Touched) => PublicState;
  words: (touched: Touched) => string;
}

/** The signals of one kind at one component, together. */
interface Touched {
  signals: readonly Signal[];
  /** `3 of 12 stores`; `all stores` when a signal is about no store in particular. */
  stores: string;
  share: number;
}

const intake = (): ComponentId[] => ['intake'];
const nowhere = (): ComponentId[] => [];
const byShare = ({ share }: Touched): PublicState =>
  share >= MAJOR_FROM ? 'major_outage' : share >= PARTIAL_FROM ? 'partial_outage' : 'degraded_performance';
const always = (state: PublicState) => (): PublicState => state;
const UNNOTICED: Meaning = { parts: [], components: nowhere, state: always('operational'), words: () => '' };

/**
 * What each kind of signal means to the public. One row a kind: a new kind does not compile before it says what the page
 * makes of it, and `UNNOTICED` is an answer.
 */
const MEANINGS: Readonly<Record<SignalKind, Meaning>> = {
  'order-missing': {
    parts: ['intake', 'processing', 'delivery'],
    components: (signal, fleet) => [...stagesOf(signal), ...deliveryOf(signal, fleet)],
    state: byShare,
    words: ({ signals, stores }) => {
      const [orders, givenUp] = [sum(signals, 'orders'), sum(signals, 'givenUp')];
      const so =
        givenUp > 0 ? `${givenUp} of them cannot be brought in without a person.` : 'They are being brought in.';
      return `${countWords(orders, 'order')} of ${stores} did not arrive. ${so}`;
    },
  },
  'subscription-removed': {
    parts: ['intake'],
    components: intake,
    // There again: what was sold meanwhile is still to be proved.
    state: (touched) => (touched.signals.every(isSubscribedAgain) ? 'degraded_performance' : byShare(touched)),
    words: ({ signals, stores }) =>
      signals.every(isSubscribedAgain)
        ? `Shopify sends the events of ${stores} again; what was sold meanwhile is being compared.`
        : `Shopify does not send some events of ${stores}. They are being subscribed again, and the orders brought in.`,
  },
  'subscription-wrong': {
    parts: ['intake'],
    components: (signal) => (hasFinding(signal, SWALLOWING) ? ['intake'] : []),
    state: always('degraded_performance'),
    words: ({ stores }) => `Shopify does not send all events of ${stores} as it should.`,
  },
  'subscription-countdown': {
    parts: ['intake'],
    components: (signal) => (Number(signal.facts['failuresInRow'] ?? 0) >= 4 ? ['intake'] : []),
    state: byShare,
    words: ({ stores }) => `Events of ${stores} could not be taken in at the first try.`,
  },
  'subscription-unknown': UNNOTICED,
  'store-silent': {
    parts: ['intake'],
    components: intake,
    // Silence says nothing about why: of a few stores it is theirs, of most it is ours until proved otherwise.
    state: ({ share }) =>
      share >= MAJOR_FROM ? 'partial_outage' : share >= PARTIAL_FROM ? 'degraded_performance' : 'operational',
    words: ({ stores }) => `Fewer orders than usual come from ${stores}.`,
  },
  'reconciliation-stale': {
    parts: ['reconciliation'],
    components: () => ['reconciliation'],
    state: always('degraded_performance'),
    words: ({ stores }) => `The orders of ${stores} have not been compared for over two hours.`,
  },
  'reconciliation-partial': {
    parts: ['reconciliation'],
    components: () => ['reconciliation'],
    state: always('degraded_performance'),
    words: ({ stores }) => `Not everything of ${stores} could be compared at the last turn.`,
  },
  'notice-unclassified': UNNOTICED,
  'destination-refusing': {
    parts: ['processing', 'delivery'],
    // A destination that rejects its credentials waits for whoever owns it, and is that customer's alone.
    components: (signal, fleet) =>
      signal.facts['trouble'] === 'credentials rejected' ? [] : deliveryOf(signal, fleet),
    state: byShare,
    words: ({ signals }) =>
      `${countWords(signals.length, 'destination')} ${signals.length === 1 ? 'does' : 'do'} not take what is sent. Orders are held, not lost, and go when it does.`,
  },
  'dead-letters-growing': {
    parts: ['processing'],
    components: (signal) => (signal.facts['lane'] === 'ours' ? ['processing'] : []),
    state: always('degraded_performance'),
    words: () => 'Some events could not be processed. They are kept, and will be sent again.',
  },
  'inbox-gap': {
    parts: ['intake'],
    components: intake,
    state: always('partial_outage'),
    words: () => 'Some events that were taken in are being brought back from Shopify.',
  },
  'slo-burn': {
    parts: ['processing'],
    components: (signal) => (signal.facts['class'] === 'page' ? ['processing'] : []),
    state: always('degraded_performance'),
    words: () => 'More orders than usual did not arrive, or not in time.',
  },
  'orders-late': {
    parts: ['processing'],
    components: () => ['processing'],
    state: always('degraded_performance'),
    words: () => 'Some orders take more than a quarter of an hour.',
  },
  'intake-slow': {
    parts: ['intake'],
    components: (signal) => (signal.facts['grade'] === 'creeping' ? [] : ['intake']),
    state: always('degraded_performance'),
    words: () => 'Shopify is answered slowly.',
  },
  'intake-failing': {
    parts: ['intake'],
    components: intake,
    state: always('partial_outage'),
    words: () => 'Some events are refused at first. Shopify sends them again.',
  },
  'signature-failures': {
    parts: ['intake'],
    components: intake,
    state: always('degraded_performance'),
    words: () => 'Some events cannot be verified, and are not taken in.',
  },
  'queue-old': {
    parts: ['processing'],
    components: () => ['processing'],
    state: always('degraded_performance'),
    words: () => 'Events wait longer than they should. They are kept, and will go.',
  },
  'workers-missing': {
    parts: ['intake', 'processing'],
    components: ({ facts }) =>
      Array.isArray(facts['roles']) && facts['roles'].includes('intake') ? ['intake'] : ['processing'],
    state: always('degraded_performance'),
    words: () => 'It works with less than it should have.',
  },
  'process-sick': UNNOTICED,
  'destination-outage': {
    parts: ['delivery'],
    components: ({ facts }) => [`delivery:${String(facts['destinationKind'])}`],
    state: always('major_outage'),
    words: () => 'Most of what is sent is not taken. Orders are held, not lost, and go when it is.',
  },
  // One customer's, who is told.
  'credentials-rejected': UNNOTICED,
  // What nobody watches is unknown by its duties' heartbeats, whether or not anybody is left to signal it.
  'watch-stalled': UNNOTICED,
  'notifier-failing': UNNOTICED,
  'on-call-gap': UNNOTICED,
  'page-volume-high': UNNOTICED,
  // It says unknown by itself, and nobody would publish this.
  'status-page-stale': UNNOTICED,
  external: UNNOTICED,
};

/** Of a subscription, what makes events stay away. */
const SWALLOWING: ReadonlySet<string> = new Set(['missing', 'removed', 'wrong-address', 'wrong-format', 'filter']);

const OF_SEVERITY: Readonly<Record<IncidentView['severity'], PublicState>> = {
  1: 'major_outage',
  2: 'partial_outage',
  3: 'degraded_performance',
  4: 'degraded_performance',
};

/** Kinds of signals that the public could notice. */
export const SHOWN_KINDS: readonly SignalKind[] = SIGNAL_KINDS.filter((kind) => MEANINGS[kind].parts.length > 0);

/**
 * The duties of monitoring whose findings a component's state goes by: those that look for a kind of signal which could
 * show there, and the one whose runs are its proof. All is well only while every one of them looks. Pure.
 */
export function dutiesBehind(component: ComponentId): ReadonlySet<string> {
  const part = component.startsWith('delivery:') ? 'delivery' : component;
  const shown = SIGNAL_KINDS.filter((kind) => MEANINGS[kind].parts.some((each) => each === part));
  const judges = shown.flatMap((kind) => JUDGES[kind] ?? []);
  return new Set(part === 'reconciliation' ? [...judges, 'reconciliation'] : judges);
}

/** What signals say is wrong, by component. Pure. */
export function troublesOfSignals(signals: readonly Signal[], fleet: Fleet): Map<ComponentId, Trouble[]> {
  const groups = new Map<string, { component: ComponentId; kind: SignalKind; signals: Signal[] }>();
  for (const signal of signals) {
    for (const component of new Set(MEANINGS[signal.kind].components(signal, fleet))) {
      const key = `${component} ${signal.kind}`;
      const group = groups.get(key) ?? { component, kind: signal.kind, signals: [] };
      group.signals.push(signal);
      groups.set(key, group);
    }
  }
  const troubles = new Map<ComponentId, Trouble[]>();
  for (const { component, kind, signals: together } of groups.values()) {
    const touched = touchedBy(component, kind, together, fleet);
    const state = MEANINGS[kind].state(touched);
    if (state !== 'operational') add(troubles, component, { state, words: MEANINGS[kind].words(touched) });
  }
  return troubles;
}

/** What open incidents say is wrong, by component. Pure. */
export function troublesOfIncidents(
  incidents: readonly Pick<IncidentView, 'title' | 'severity' | 'state' | 'components' | 'shops' | 'mitigatedAt'>[],
  fleet: Fleet,
  publish: (text: string) => string,
): Map<ComponentId, Trouble[]> {
  const troubles = new Map<ComponentId, Trouble[]>();
  for (const { title, severity, state, components, shops, mitigatedAt } of incidents) {
    if (state === 'resolved') continue;
    const share = shops.length === 0 ? 1 : shops.length / Math.max(1, fleet.shops.length);
    const shown = mitigatedAt === null ? capped(OF_SEVERITY[severity], share) : 'degraded_performance';
    const words =
      mitigatedAt === null
        ? `Open incident: ${publish(title)}`
        : `The incident "${publish(title)}" is over but not proved to be.`;
    for (const component of components) add(troubles, component, { state: shown, words });
  }
  return troubles;
}

/** What touches less than a quarter of the stores is one step less to the public, however bad it is for those. */
function capped(state: PublicState, share: number): PublicState {
  if (share >= PARTIAL_FROM) return state;
  return state === 'major_outage' ? 'partial_outage' : 'degraded_performance';
}

function touchedBy(component: ComponentId, kind: SignalKind, signals: readonly Signal[], fleet: Fleet): Touched {
  if (kind === 'destination-refusing') {
    const ofKind = fleet.destinations.filter((each) => each.enabled && `delivery:${each.kind}` === component);
    return { signals, stores: '', share: signals.length / Math.max(1, ofKind.length) };
  }
  const all = fleet.shops.length;
  const shops = new Set(signals.flatMap(({ shop }) => shop ?? []));
  if (signals.some(({ shop }) => shop === null)) return { signals, stores: 'many stores', share: 1 };
  const stores = `${shops.size} of ${all} ${all === 1 ? 'store' : 'stores'}`;
  return { signals, stores, share: shops.size / Math.max(1, all) };
}

/** Where on the way orders were lost, as far as the signal tells. */
function stagesOf({ facts }: Signal): ComponentId[] {
  const names: readonly unknown[] = Array.isArray(facts['stages']) ? facts['stages'] : [];
  return [
    ...(names.includes('logged') ? (['intake'] as const) : []),
    ...(names.includes('processed') ? (['processing'] as const) : []),
  ];
}

function deliveryOf({ destination }: Signal, fleet: Fleet): ComponentId[] {
  const kind = fleet.destinations.find(({ name }) => name === destination)?.kind;
  return kind === undefined ? ['processing'] : [`delivery:${kind}`];
}

function isSubscribedAgain({ facts }: Signal): boolean {
  return facts['recreatedAt'] != null;
}

function hasFinding({ facts }: Signal, kinds: ReadonlySet<string>): boolean {
  const findings = facts['findings'];
  return (
    Array.isArray(findings) &&
    findings.some((each: unknown) => {
      return typeof each === 'object' && each !== null && 'kind' in each && kinds.has(String(each.kind));
    })
  );
}

function sum(signals: readonly Signal[], fact: string): number {
  return signals.reduce((total, { facts }) => total + (Number(facts[fact] ?? 0) || 0), 0);
}

function add(troubles: Map<ComponentId, Trouble[]>, component: ComponentId, trouble: Trouble): void {
  const known = troubles.get(component) ?? [];
  troubles.set(component, [...known, trouble]);
}

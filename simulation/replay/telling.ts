import type { Incident, PagerEvent } from '../../sandbox/pagerduty/incidents.js';
import type { PagerDutySide } from '../../sandbox/pagerduty/pagerduty.js';
import { ruleNamed } from '../../src/alerting/catalogue.js';
import type { PublicState } from '../../src/status-page/contract.js';
import { rankOf } from '../../src/status-page/states.js';
import type { Removal } from './removals.js';
import type { Misfortune, Story } from './story.js';
import { LATE_AFTER_MS, type DueOrder } from './tally.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A page that belongs to a misfortune comes so long after its last order at most: what is late is judged by the quarter hour. */
const AFTERMATH_MS = 30 * MINUTE_MS;

export const PAGE_ROUTES = ['removed', 'orders', 'routine'] as const;
export type PageRoute = (typeof PAGE_ROUTES)[number];

/**
 * What there was for a person to do. `own`: it names a subscription or a store that nobody else names, or is the first to
 * tell of a misfortune. `again`: any other page about a misfortune that had been told. `nothing`: nothing was wrong then.
 */
export type Worth = 'own' | 'again' | 'nothing';

/** An incident that PagerDuty made for a page, as PagerDuty has it. */
export interface Page {
  key: string;
  name: string;
  route: PageRoute;
  title: string;
  atMs: number;
  /** `null` = still open at the end. */
  closedAtMs: number | null;
  /** Triggers that it holds: the first, and what joined it. */
  triggers: number;
  /** When what it tells of began; `null` = nothing had. */
  sinceMs: number | null;
  worth: Worth;
}

/** What the public page said from an instant on, until it said something else. */
export interface Said {
  atMs: number;
  state: PublicState;
  headline: string;
}

/** What one full hour was, told and true. */
export interface HourTold {
  /** The full hour at which it was read; the hour before it is the one that it ends. */
  atMs: number;
  state: PublicState;
  headline: string;
  /** The worst that it said within the hour. */
  worst: PublicState;
  /** Orders late and not there: right then, and at any time within the hour. */
  missing: { plain: number; plumbline: number };
  missingWithin: { plain: number; plumbline: number };
}

export interface Told {
  pages: readonly Page[];
  /** Alerts that could wait for the next working day. */
  tickets: number;
  /** Daily tests of the way to PagerDuty. */
  tests: number;
  /** Events that PagerDuty took. */
  events: Readonly<Record<PagerEvent['action'], number>>;
  /** Triggers that joined an incident that was open: nobody was told twice. */
  joined: number;
  hours: readonly HourTold[];
  incidents: { declared: number; proved: number };
  /** What was promised of telling, and not kept. */
  broken: readonly string[];
}

/** An incident of Plumbline's own, at the end. */
export interface OwnIncident {
  cause: string;
  isResolved: boolean;
  touchesOrders: boolean;
  proofs: number;
}

export interface Interval {
  fromMs: number;
  /** `null` = it goes on. */
  toMs: number | null;
}

type Arrivals = ReadonlyMap<number, number>;

interface Heard {
  story: Story;
  endMs: number;
  pager: Pick<PagerDutySide, 'incidents' | 'received' | 'routeOf'>;
  said: readonly Said[];
  orders: readonly DueOrder[];
  arrivedAtMs: { plain: Arrivals; plumbline: Arrivals };
  removals: readonly Removal[];
  /** When Plumbline itself knew of a removed subscription or a missing order. */
  known: readonly Interval[];
  incidents: readonly OwnIncident[];
}

/** The end of the line, from what the far side and the public have heard. Pure. */
export function told(heard: Heard): Told {
  const { pager, story, said, incidents } = heard;
  const made = pager.incidents.list;
  const isPage = (incident: Incident): boolean => ruleNamed(nameOf(incident))?.class === 'page';
  const pages = pagesOf(made.filter(isPage), heard);
  const taken = pager.received.filter(({ status }) => status === 202).map(({ event }) => event.action);
  const tests = made.filter((incident) => nameOf(incident) === 'pager-test').length;
  const hours = Array.from({ length: story.days * 24 }, (_, index) =>
    hourOf(story.startAtMs + (index + 1) * HOUR_MS, heard),
  );
  return {
    pages,
    tickets: made.filter((incident) => !isPage(incident)).length - tests,
    tests,
    events: {
      trigger: taken.filter((action) => action === 'trigger').length,
      acknowledge: taken.filter((action) => action === 'acknowledge').length,
      resolve: taken.filter((action) => action === 'resolve').length,
    },
    joined: made.reduce((sum, { triggers }) => sum + triggers - 1, 0),
    hours,
    incidents: { declared: incidents.length, proved: incidents.filter((each) => each.proofs > 0).length },
    broken: [
      ...brokenPages(pages, heard.removals),
      ...brokenPage(said, heard.known, heard.endMs),
      ...brokenIncidents(incidents),
    ],
  };
}

function nameOf({ payload }: Incident): string {
  return typeof payload['class'] === 'string' ? payload['class'] : '';
}

function pagesOf(made: readonly Incident[], heard: Heard): Page[] {
  const troubles = heard.story.misfortunes.map((misfortune) => troubleOf(misfortune, heard));
  const isTold = troubles.map(() => false);
  return made.map((incident): Page => {
    const route = heard.pager.routeOf(incident) as PageRoute;
    const { key, createdAtMs: atMs } = incident;
    const index = troubles.findLastIndex(({ fromMs, toMs }) => fromMs <= atMs && atMs <= (toMs ?? Infinity));
    const trouble = troubles[index];
    const isFirst = trouble !== undefined && !isTold[index];
    if (trouble !== undefined) isTold[index] = true;
    const isOfStore = route !== 'routine' && key.startsWith('shop:');
    const sinceMs = isOfStore ? namedSince(incident, route, heard) : (trouble?.fromMs ?? null);
    return {
      key,
      name: nameOf(incident),
      route,
      title: incident.title,
      atMs,
      closedAtMs: incident.status === 'resolved' ? incident.changedAtMs : null,
      triggers: incident.triggers,
      sinceMs,
      worth: sinceMs === null ? 'nothing' : isOfStore || isFirst ? 'own' : 'again',
    };
  });
}

/** From its beginning until the last order that it held up was there. */
function troubleOf(misfortune: Misfortune, { story, orders, arrivedAtMs, removals }: Heard): Interval {
  const fromMs = story.startAtMs + misfortune.afterMs;
  const restoredMs = removals
    .filter(({ atMs }) => atMs >= fromMs && atMs <= fromMs + 12 * HOUR_MS)
    .reduce((last, { noticedAtMs, atMs }) => Math.max(last, noticedAtMs ?? atMs), fromMs);
  const endedMs = Math.max(restoredMs, fromMs + ('forMs' in misfortune ? misfortune.forMs : 0));
  const held = orders
    .filter(({ dueAtMs }) => dueAtMs >= fromMs - LATE_AFTER_MS && dueAtMs <= endedMs)
    .map(({ id }) => arrivedAtMs.plumbline.get(id) ?? endedMs);
  return { fromMs, toMs: Math.max(endedMs, ...held) + AFTERMATH_MS };
}

/** When what a page on a route of its own names really began: the removal, or the oldest order that was not there. */
function namedSince(incident: Incident, route: PageRoute, heard: Heard): number | null {
  const { key, createdAtMs: atMs } = incident;
  if (route === 'removed') {
    const removal = heard.removals.findLast((each) => keyOf(each) === key && each.atMs <= atMs);
    return removal?.atMs ?? null;
  }
  const missing = heard.orders.filter(
    ({ id, domain, dueAtMs }) =>
      key.startsWith(`shop:${domain}/`) && dueAtMs <= atMs && (heard.arrivedAtMs.plumbline.get(id) ?? Infinity) >= atMs,
  );
  return missing.length === 0 ? null : Math.min(...missing.map(({ dueAtMs }) => dueAtMs));
}

function keyOf({ domain, topic }: Removal): string {
  return `shop:${domain}/${topic}:subscription-removed`;
}

function hourOf(atMs: number, { said, orders, arrivedAtMs }: Heard): HourTold {
  const before = said.filter((each) => each.atMs <= atMs);
  const now = before.at(-1);
  const fromMs = atMs - HOUR_MS;
  const atBeginning = before.findLast((each) => each.atMs <= fromMs);
  const within = [...(atBeginning ? [atBeginning] : []), ...before.filter((each) => each.atMs > fromMs)];
  const worst = within.reduce<PublicState>(
    (most, { state }) => (rankOf(state) > rankOf(most) ? state : most),
    now?.state ?? 'unknown',
  );
  const missing = (arrived: Arrivals, sinceMs: number): number =>
    orders.filter(
      ({ id, dueAtMs }) =>
        dueAtMs + LATE_AFTER_MS <= atMs && (arrived.get(id) ?? Infinity) > Math.max(sinceMs, dueAtMs + LATE_AFTER_MS),
    ).length;
  const { plain, plumbline } = arrivedAtMs;
  return {
    atMs,
    state: now?.state ?? 'unknown',
    headline: now?.headline ?? '',
    worst,
    missing: { plain: missing(plain, atMs), plumbline: missing(plumbline, atMs) },
    missingWithin: { plain: missing(plain, fromMs), plumbline: missing(plumbline, fromMs) },
  };
}

/** The watch looks every 90 seconds at the latest, and the way of the alert takes two minutes of the story. */
const PAGED_WITHIN_MS = 90_000 + 2 * MINUTE_MS;

function brokenPages(pages: readonly Page[], removals: readonly Removal[]): string[] {
  const ofKey = Map.groupBy(removals, keyOf);
  const faults = [...ofKey].flatMap(([key, gone]) => {
    const own = pages.filter((page) => page.key === key && page.route === 'removed');
    const unpaged = gone.filter(
      ({ atMs }) =>
        !own.some(
          (page) => page.atMs <= atMs + PAGED_WITHIN_MS && (page.atMs >= atMs || (page.closedAtMs ?? Infinity) > atMs),
        ),
    );
    return [
      ...unpaged.map(({ atMs }) => `nobody was paged in time that ${key} was so, ${new Date(atMs).toISOString()}`),
      ...(own.length > gone.length ? [`${own.length} pages for ${gone.length} removals: ${key}`] : []),
    ];
  });
  const strange = pages.filter(({ key, name }) => name === 'subscription-removed' && !ofKey.has(key));
  const open = pages.filter((page, index) =>
    pages.slice(0, index).some((other) => other.key === page.key && (other.closedAtMs ?? Infinity) > page.atMs),
  );
  return [
    ...faults,
    ...strange.map(({ key }) => `paged for what was not removed: ${key}`),
    ...open.map(({ key }) => `two pages open at once for ${key}`),
  ];
}

function brokenPage(said: readonly Said[], known: readonly Interval[], endMs: number): string[] {
  const whitened = said.filter(({ state, atMs }, index) => {
    const untilMs = said[index + 1]?.atMs ?? endMs;
    return state === 'operational' && known.some(({ fromMs, toMs }) => fromMs < untilMs && (toMs ?? endMs) > atMs);
  });
  return whitened.map(
    ({ atMs }) => `the page said operational while orders were known missing, from ${new Date(atMs).toISOString()}`,
  );
}

function brokenIncidents(incidents: readonly OwnIncident[]): string[] {
  return incidents.flatMap(({ cause, isResolved, touchesOrders, proofs }) => {
    if (!isResolved) return [`the incident of ${cause} is not resolved`];
    return touchesOrders && proofs === 0 ? [`the incident of ${cause} was resolved without a proof`] : [];
  });
}

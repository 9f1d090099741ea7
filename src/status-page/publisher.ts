import type { IncidentReader } from '../alerting/contract.js';
import type { Clock } from '../kernel/clock.js';
import type {
  FleetItem,
  HeartbeatReader,
  ReconciliationDesk,
  SignalReader,
  SignalView,
  ThroughputReader,
} from '../monitoring/contract.js';
import type { RegistryReader, World } from '../pipeline/contract.js';
import { composeComponents, composeEntries, composeIncidents, type Facts } from './compose.js';
import { DAY_MS, DAYS_SHOWN, daysOf, pageDays, SETTLED, settledArrivals, startOf, type KeptDay } from './days.js';
import type { Entries } from './entries.js';
import { dayOf } from './public-words.js';
import type { Arrivals, DayStrip, Publication, Snapshot } from './snapshot.js';
import type { PublicationStore } from './store.js';
import { SHOWN_KINDS } from './troubles.js';

export interface PublisherPorts {
  registry: RegistryReader;
  signals: Pick<SignalReader, 'signals'>;
  reconciliation: Pick<ReconciliationDesk, 'proofs'>;
  throughput: Pick<ThroughputReader, 'fleet'>;
  incidents: Pick<IncidentReader, 'incidents' | 'updatesOf'>;
  heartbeats: HeartbeatReader;
}

export interface PublisherDeps extends PublisherPorts {
  clock: Clock;
  store: PublicationStore;
  entries: Entries;
}

const PAGE = 200;
/** Past these, what is open is not read to its end, and the page says so. */
const SIGNALS_MAX = 2_000;
const OPEN_INCIDENTS_MAX = 200;
/** Of all, open or over: the history. */
const INCIDENTS_MAX = 100;
/** Figures are read again after so long: they grow with every order, and nobody reads a page by the second. */
const FIGURES_EVERY_MS = 60_000;
/** Late facts change yesterday; GA4 shows an order up to two days after it was accepted. */
const RECOUNTED_DAYS = 4;
const PAST_MAINTENANCE_MS = 90 * DAY_MS;

interface Figures {
  world: World;
  readAtMs: number;
  day: number;
  kept: KeptDay[];
  throughput: Snapshot['throughput'];
}

/**
 * Looks at everything the page is made of, and publishes what it comes to. Any number of processes may do so: they write
 * one after the other, and the later look stands.
 */
export class Publisher {
  private figures: Figures | null = null;
  private createdAtMs: number | null = null;

  constructor(private readonly deps: PublisherDeps) {}

  async round(): Promise<Publication> {
    const { clock, store, entries } = this.deps;
    const nowMs = clock.nowMs();
    this.createdAtMs ??= await store.createdAtMs(nowMs);
    const facts = await this.look(nowMs);
    const figures = await this.freshFigures(facts.world, nowMs);
    const before = await store.statesBefore(
      facts.world,
      facts.incidents.flatMap(({ incident }) =>
        incident.components.map((component) => ({ component, atMs: incident.declaredAt.getTime() })),
      ),
    );
    const minutes = await store.minutes(nowMs - DAYS_SHOWN * DAY_MS);
    return store.publish(
      {
        world: facts.world,
        components: composeComponents(facts),
        entries: composeEntries(facts, await entries.published(nowMs - PAST_MAINTENANCE_MS)),
        incidents: composeIncidents(facts, before),
        days: stripsOf([...figures.kept, ...pageDays(minutes, this.createdAtMs, figures.readAtMs)]),
        throughput: figures.throughput,
      },
      nowMs,
    );
  }

  private async look(nowMs: number): Promise<Facts> {
    const { registry, reconciliation, heartbeats } = this.deps;
    const world = worldOf(registry);
    const shops = registry.shops().filter((shop) => shop.world === world && shop.uninstalledAt === null);
    const [signals, proofs, beats, incidents] = await Promise.all([
      this.openSignals(world),
      reconciliation.proofs(),
      heartbeats.heartbeats(),
      this.incidents(world),
    ]);
    return {
      nowMs,
      world,
      shops,
      destinations: registry.destinations().filter((destination) => destination.world === world),
      signals: signals.items,
      comparedUntilMs: new Map(proofs.map(({ shop, comparedUntil }) => [shop, comparedUntil?.getTime() ?? null])),
      heartbeats: beats,
      incidents: incidents.items,
      isCut: signals.isCut || incidents.isCut,
    };
  }

  private openSignals(world: World): Promise<{ items: SignalView[]; isCut: boolean }> {
    const filter = { state: 'open' as const, world, kinds: SHOWN_KINDS };
    return upTo(SIGNALS_MAX, (page) => this.deps.signals.signals(filter, page));
  }

  /** An old one that is still open counts, however many have come and gone since. */
  private async incidents(world: World): Promise<{ items: Facts['incidents']; isCut: boolean }> {
    const { incidents: reader } = this.deps;
    const [newest, open] = await Promise.all([
      reader.incidents({ state: 'all', world }, { limit: INCIDENTS_MAX }),
      upTo(OPEN_INCIDENTS_MAX, (page) => reader.incidents({ state: 'open', world }, page)),
    ]);
    const known = new Set(newest.items.map(({ id }) => id));
    const all = [...newest.items, ...open.items.filter(({ id }) => !known.has(id))];
    const updates = await reader.updatesOf(all.map(({ id }) => id));
    const items = all.map((incident) => ({ incident, updates: updates.get(incident.id) ?? [] }));
    return { items, isCut: open.isCut };
  }

  private async freshFigures(world: World, nowMs: number): Promise<Figures> {
    const { store } = this.deps;
    const known = this.figures?.world === world ? this.figures : null;
    if (known !== null && nowMs - known.readAtMs < FIGURES_EVERY_MS) return known;
    const today = startOf(nowMs);
    const firstMs = today - (DAYS_SHOWN - 1) * DAY_MS;
    // All of them when none is kept and once a day, because an old loss may be mended; the last few in between.
    const isDue = known === null ? (await store.days(world, firstMs)).length === 0 : known.day !== today;
    const fromMs = isDue ? firstMs : today - (RECOUNTED_DAYS - 1) * DAY_MS;
    await store.keepDays(world, daysOf(await this.fleet(world, fromMs, today + DAY_MS), nowMs));
    const kept = await store.days(world, firstMs);
    const since = (days: number): Arrivals | null => settledArrivals(kept, dayOf(today - days * DAY_MS), dayOf(today));
    const throughput = { yesterday: since(1), last28Days: since(28) };
    this.figures = { world, readAtMs: nowMs, day: today, kept, throughput };
    return this.figures;
  }

  private async fleet(world: World, fromMs: number, toMs: number): Promise<FleetItem[]> {
    const items: FleetItem[] = [];
    const filter = { world, granularity: 'day' as const, from: new Date(fromMs), to: new Date(toMs) };
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: { items: FleetItem[]; nextCursor: string | null } = await this.deps.throughput.fleet(filter, {
        limit: PAGE,
        ...(cursor === '' ? {} : { cursor }),
      });
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  }
}

interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** @returns `isCut` = there is more */
async function upTo<Item>(
  max: number,
  read: (page: { limit: number; cursor?: string }) => Promise<Page<Item>>,
): Promise<{ items: Item[]; isCut: boolean }> {
  const items: Item[] = [];
  let cursor: string | null = '';
  while (cursor !== null && items.length < max) {
    const page: Page<Item> = await read({
      limit: Math.min(PAGE, max - items.length),
      ...(cursor === '' ? {} : { cursor }),
    });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return { items, isCut: cursor !== null };
}

/** The real world when there is one; else the sandbox's, which the page then says. */
function worldOf(registry: RegistryReader): World {
  const worlds = new Set(registry.shops().map(({ world }) => world));
  return worlds.has('real') || !worlds.has('sandbox') ? 'real' : 'sandbox';
}

function stripsOf(kept: readonly KeptDay[]): Record<string, DayStrip> {
  const strips: Record<string, { unit: DayStrip['unit']; days: DayStrip['days'][number][] }> = {};
  for (const { component, unit, ...day } of kept) {
    if (component !== SETTLED) (strips[component] ??= { unit, days: [] }).days.push(day);
  }
  return strips;
}

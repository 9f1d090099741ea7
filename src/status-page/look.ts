import type { ComponentId } from '../alerting/contract.js';
import type { StatusPageSettings } from './config.js';
import type { PublicState } from './contract.js';
import { headlineOf, shownAt, worstShown, type Shown } from './shown.js';
import type { Publication, SnapshotComponent, SnapshotIncident } from './snapshot.js';

/** How the page is called and where it is found. */
export interface PageSettings {
  title: string;
  /** Without a slash at its end. */
  url: string;
  contact: string | null;
  components: StatusPageSettings['components'];
}

export interface ShownComponent extends Shown {
  id: ComponentId;
  name: string;
  description: string;
  component: SnapshotComponent;
}

/** The page at one instant: what every form of it - HTML, JSON, feeds - is written from. */
export interface Look {
  settings: PageSettings;
  publication: Publication;
  nowMs: number;
  components: readonly ShownComponent[];
  state: PublicState;
  headline: string;
  /** Newest first. */
  open: readonly SnapshotIncident[];
  past: readonly SnapshotIncident[];
}

export function lookAt(publication: Publication, settings: PageSettings, nowMs: number): Look {
  const components = publication.snapshot.components.map((component): ShownComponent => {
    const { name, description } = namesOf(component.id, settings);
    return { id: component.id, name, description, component, ...shownAt(component, publication, nowMs) };
  });
  const { incidents } = publication.snapshot;
  return {
    settings,
    publication,
    nowMs,
    components,
    state: worstShown(components),
    headline: headlineOf(components),
    open: incidents.filter(({ state }) => state !== 'resolved'),
    past: incidents.filter(({ state }) => state === 'resolved'),
  };
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  ga4: 'Google Analytics 4',
  segment: 'Segment',
  postgres: 'data warehouses',
  webhook: 'webhooks',
};

const NAMES: Readonly<Record<string, { name: string; description: string }>> = {
  intake: { name: 'Intake', description: 'Takes in what Shopify sends, and stores it before it answers.' },
  processing: { name: 'Processing', description: 'Reads what was taken in and decides where it is to go.' },
  reconciliation: {
    name: 'Reconciliation',
    description: 'Compares every order that Shopify lists with what arrived, and brings in what is missing.',
  },
  status: { name: 'This page', description: 'Is published every few seconds, and says unknown when it is not.' },
};

export function namesOf(
  id: ComponentId,
  settings: Pick<PageSettings, 'components'>,
): { name: string; description: string } {
  const own = settings.components[id];
  const kind = id.startsWith('delivery:') ? id.slice('delivery:'.length) : null;
  const usual =
    kind === null
      ? (NAMES[id] ?? { name: id, description: '' })
      : {
          name: `Delivery to ${KIND_NAMES[kind] ?? kind}`,
          description: 'Sends each order there, and asks whether it arrived where that can be asked.',
        };
  return { name: own?.name ?? usual.name, description: own?.description ?? usual.description };
}

/** Nothing was ever published, or nothing that this release can read. */
export function nothingPublished(nowMs: number): Publication {
  return {
    version: '0',
    confirmedAtMs: 0,
    snapshot: {
      world: 'real',
      components: [],
      entries: [],
      incidents: [],
      days: {},
      throughput: { yesterday: null, last28Days: null },
      createdAtMs: nowMs,
      changedAtMs: nowMs,
    },
  };
}

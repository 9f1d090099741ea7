import type { Severity } from '../alerting/contract.js';
import type { PublicState } from './contract.js';
import { namesOf, type Look, type ShownComponent } from './look.js';
import { dayOf } from './public-words.js';
import { newestAt, publicId, type SnapshotEntry, type SnapshotIncident } from './snapshot.js';
import { STATE_WORDS } from './states.js';

/** Lists hold so many at most, as Statuspage's do. */
const LIST_MAX = 50;

/**
 * Statuspage's readers know five states and no "unknown". What nobody can vouch for is told as a partial outage, with
 * the indicator `major`: readers take anything else for "well", or only for a footnote, or cannot read it
 * (docs/adr/0014-unknown-is-not-green.md).
 */
const COMPONENT_STATUS: Readonly<Record<PublicState, string>> = {
  operational: 'operational',
  under_maintenance: 'under_maintenance',
  degraded_performance: 'degraded_performance',
  unknown: 'partial_outage',
  partial_outage: 'partial_outage',
  major_outage: 'major_outage',
};

const INDICATOR: Readonly<Record<PublicState, { indicator: string; description: string }>> = {
  operational: { indicator: 'none', description: 'All Systems Operational' },
  under_maintenance: { indicator: 'maintenance', description: 'Service Under Maintenance' },
  degraded_performance: { indicator: 'minor', description: 'Partially Degraded Service' },
  unknown: { indicator: 'major', description: 'Unknown: Not Proved Right Now' },
  partial_outage: { indicator: 'major', description: 'Partial System Outage' },
  major_outage: { indicator: 'critical', description: 'Major Service Outage' },
};

const IMPACT: Readonly<Record<Severity, string>> = { 1: 'critical', 2: 'major', 3: 'minor', 4: 'none' };

const WHILE_OPEN: Readonly<Record<Severity, PublicState>> = {
  1: 'major_outage',
  2: 'partial_outage',
  3: 'degraded_performance',
  4: 'degraded_performance',
};

/** Every document of `/api/v2`, by its path there; the order of keys is Statuspage's. */
export const DOCUMENTS: Readonly<Record<string, (look: Look) => object>> = {
  'summary.json': (look) => ({
    page: pageOf(look),
    components: look.components.map((each, index) => componentOf(look, each, index)),
    incidents: look.open.map((incident) => incidentOf(look, incident)),
    scheduled_maintenances: maintenancesOf(look, ['scheduled', 'in_progress']),
    status: INDICATOR[look.state],
  }),
  'status.json': (look) => ({ page: pageOf(look), status: INDICATOR[look.state] }),
  'components.json': (look) => ({
    page: pageOf(look),
    components: look.components.map((each, index) => componentOf(look, each, index)),
  }),
  'incidents.json': (look) => ({
    page: pageOf(look),
    incidents: look.publication.snapshot.incidents.slice(0, LIST_MAX).map((incident) => incidentOf(look, incident)),
  }),
  'incidents/unresolved.json': (look) => ({
    page: pageOf(look),
    incidents: look.open.slice(0, LIST_MAX).map((incident) => incidentOf(look, incident)),
  }),
  'scheduled-maintenances.json': (look) => ({
    page: pageOf(look),
    scheduled_maintenances: maintenancesOf(look, ['scheduled', 'in_progress', 'completed']),
  }),
  'scheduled-maintenances/upcoming.json': (look) => ({
    page: pageOf(look),
    scheduled_maintenances: maintenancesOf(look, ['scheduled']),
  }),
  'scheduled-maintenances/active.json': (look) => ({
    page: pageOf(look),
    scheduled_maintenances: maintenancesOf(look, ['in_progress']),
  }),
};

function pageId(look: Look): string {
  return publicId(`page:${new URL(look.settings.url).host}`);
}

function pageOf(look: Look): object {
  return {
    id: pageId(look),
    name: look.settings.title,
    url: look.settings.url,
    time_zone: 'Etc/UTC',
    updated_at: instant(look.publication.snapshot.changedAtMs),
  };
}

function componentOf(look: Look, shown: ShownComponent, index: number): object {
  const { createdAtMs, changedAtMs } = shown.component;
  return {
    id: componentId(shown.id),
    name: shown.name,
    status: COMPONENT_STATUS[shown.state],
    created_at: instant(createdAtMs),
    updated_at: instant(changedAtMs),
    position: index + 1,
    // The reader's own words for a state have no "unknown"; this line has.
    description: shown.state === 'unknown' ? `${STATE_WORDS.unknown}: ${shown.why.join(' ')}` : shown.description,
    showcase: false,
    start_date: dayOf(createdAtMs),
    group_id: null,
    page_id: pageId(look),
    group: false,
    only_show_if_degraded: false,
  };
}

function incidentOf(look: Look, incident: SnapshotIncident): object {
  const touched = new Set<string>(incident.components.map(({ id }) => id));
  const monitoring = incident.updates.findLast(({ state }) => state === 'monitoring');
  return {
    id: incident.id,
    name: incident.title,
    status: incident.state,
    created_at: instant(incident.declaredAtMs),
    updated_at: instant(newestAt(incident)),
    monitoring_at: instantOrNull(monitoring?.atMs ?? null),
    resolved_at: instantOrNull(incident.resolvedAtMs),
    impact: IMPACT[incident.severity],
    shortlink: `${look.settings.url}/incidents/${incident.id}`,
    started_at: instant(incident.startedAtMs),
    page_id: pageId(look),
    incident_updates: incident.updates.map((update, index) => ({
      id: update.id,
      status: update.state,
      body: update.body,
      incident_id: incident.id,
      created_at: instant(update.atMs),
      updated_at: instant(update.atMs),
      display_at: instant(update.atMs),
      affected_components: affectedBy(look, incident, index),
      deliver_notifications: true,
      custom_tweet: null,
      tweet_id: null,
    })),
    components: look.components.flatMap((each, index) =>
      touched.has(each.id) ? [componentOf(look, each, index)] : [],
    ),
  };
}

/** What the components were told to be before and with an update; the first one found what was told until then. */
function affectedBy(look: Look, incident: SnapshotIncident, index: number): object[] | null {
  if (incident.components.length === 0) return null;
  const stateWith = (state: SnapshotIncident['state']): PublicState =>
    state === 'resolved'
      ? 'operational'
      : state === 'monitoring'
        ? 'degraded_performance'
        : WHILE_OPEN[incident.severity];
  const update = incident.updates[index];
  const previous = incident.updates[index + 1];
  return incident.components.map(({ id, before }) => ({
    code: componentId(id),
    name: namesOf(id, look.settings).name,
    old_status: COMPONENT_STATUS[previous === undefined ? before : stateWith(previous.state)],
    new_status: COMPONENT_STATUS[stateWith(update?.state ?? incident.state)],
  }));
}

type MaintenanceStatus = 'scheduled' | 'in_progress' | 'completed';

function maintenancesOf(look: Look, wanted: readonly MaintenanceStatus[]): object[] {
  return look.publication.snapshot.entries
    .filter(({ worsen }) => worsen === 'under_maintenance')
    .map((entry) => ({ entry, status: maintenanceStatus(entry, look.nowMs) }))
    .filter(({ status }) => wanted.includes(status))
    .slice(0, LIST_MAX)
    .map(({ entry, status }) => maintenanceOf(look, entry, status));
}

export function maintenanceStatus({ fromMs, untilMs }: SnapshotEntry, nowMs: number): MaintenanceStatus {
  return nowMs < fromMs ? 'scheduled' : nowMs < untilMs ? 'in_progress' : 'completed';
}

function maintenanceOf(look: Look, entry: SnapshotEntry, status: MaintenanceStatus): object {
  const index = look.components.findIndex(({ id }) => id === entry.component);
  const shown = look.components[index];
  const name = namesOf(entry.component, look.settings).name;
  const updatedAtMs =
    status === 'scheduled' ? entry.createdAtMs : status === 'in_progress' ? entry.fromMs : entry.untilMs;
  return {
    id: entry.id,
    name: `Maintenance: ${name}`,
    status,
    created_at: instant(entry.createdAtMs),
    updated_at: instant(Math.max(entry.createdAtMs, updatedAtMs)),
    monitoring_at: null,
    resolved_at: instantOrNull(status === 'completed' ? entry.untilMs : null),
    impact: 'maintenance',
    shortlink: look.settings.url,
    started_at: instant(entry.fromMs),
    page_id: pageId(look),
    incident_updates: [
      {
        id: publicId(`update:${entry.id}:${status}`),
        status,
        body: entry.note,
        incident_id: entry.id,
        created_at: instant(entry.createdAtMs),
        updated_at: instant(entry.createdAtMs),
        display_at: instant(entry.createdAtMs),
        affected_components: null,
        deliver_notifications: true,
        custom_tweet: null,
        tweet_id: null,
      },
    ],
    components: shown === undefined ? [] : [componentOf(look, shown, index)],
    scheduled_for: instant(entry.fromMs),
    scheduled_until: instant(entry.untilMs),
  };
}

function componentId(id: string): string {
  return publicId(`component:${id}`);
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : instant(ms);
}

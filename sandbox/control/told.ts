import type { Incident } from '../pagerduty/incidents.js';
import { PAGER_WORDS } from '../trouble.js';
import type { World } from '../world.js';
import type { Line, View } from './view.js';

const INCIDENTS_SHOWN = 25;
const MAILS_SHOWN = 15;
const SAID_SHOWN = 12;
const TEST_KEY = /:pager-test$/;

const CHECK_WORDS = {
  new: 'has never heard a heartbeat',
  up: 'hears the heartbeat',
  late: 'is waiting: the heartbeat is late',
  down: 'hears nothing: somebody is woken by it',
} as const;

/** Whom the service has told, for programs: every incident with its key, its route and when somebody was paged. */
export function pagesOf({ responders }: World): object {
  if (responders === null) return { incidents: [], events: 0, mails: [], heartbeat: null, publicPage: null };
  const { pager, mail, check, publicPage } = responders;
  return {
    incidents: pager.incidents.list.map((incident) => ({ ...incident, route: pager.routeOf(incident) })),
    events: pager.received.length,
    mode: pager.mode,
    onCall: pager.onCall,
    mails: mail.mails,
    heartbeat: { state: check.state, lastAtMs: check.lastAtMs, pings: check.pings },
    publicPage: { current: publicPage.current, reason: publicPage.reason, history: publicPage.history },
  };
}

/** The same in words, beside what is true. */
export function addTold(view: View, world: World, truth: { sold: number; lacking: readonly string[] }): void {
  const { texts, lists } = view;
  const { responders } = world;
  if (responders === null) return;
  const { pager, mail, check, publicPage } = responders;
  const incidents = pager.incidents.list.filter(({ key }) => !TEST_KEY.test(key));
  const open = incidents.filter(({ status }) => status !== 'resolved');
  const people = pager.onCall.length === 0 ? 'Nobody is on call' : `${pager.onCall.join(', ')} is on call`;
  texts['told.pager'] = `PagerDuty ${PAGER_WORDS[pager.mode]}. ${people}.`;
  texts['told.count'] = `${incidents.length} ${incidents.length === 1 ? 'incident' : 'incidents'}, ${open.length} open`;
  texts['told.mails'] = `${mail.mails.length}`;
  texts['told.mailServer'] = mail.isDown ? 'The mail server is down.' : 'The mail server takes mails.';
  const heardAt = check.lastAtMs === null ? '' : `, last at ${time(check.lastAtMs)}`;
  texts['told.heartbeat'] = `The check outside ${CHECK_WORDS[check.state]}${heardAt}.`;
  texts['told.heartbeatState'] = check.state;
  texts['told.truth'] = truthWords(truth);
  const status = publicPage.current;
  texts['told.public'] = status?.description ?? `The public page cannot be read: ${publicPage.reason}.`;
  lists['told.incidents'] = [...open, ...incidents.filter(({ status: each }) => each === 'resolved').slice(-10)]
    .toSorted((one, other) => rank(one) - rank(other) || other.createdAtMs - one.createdAtMs)
    .slice(0, INCIDENTS_SHOWN)
    .map((incident) => incidentLine(incident, pager.routeOf(incident)));
  lists['told.mails'] = mail.mails
    .slice(-MAILS_SHOWN)
    .toReversed()
    .map(({ atMs, subject, to }) => ({
      text: `${time(atMs)} ${subject}`,
      tone: 'plain',
      detail: `to ${to.join(', ')}`,
    }));
  lists['told.components'] = (status?.components ?? []).map(({ name, status: each }) => ({
    text: `${name}: ${each.replaceAll('_', ' ')}`,
    tone: each === 'operational' ? 'good' : 'bad',
  }));
  lists['told.incidentsPublic'] = (status?.incidents ?? []).map(({ name, status: each, body }) => ({
    text: `${name} (${each})`,
    tone: 'bad',
    detail: body,
  }));
  lists['told.said'] = publicPage.history
    .slice(0, SAID_SHOWN)
    .map(({ atMs, text }): Line => ({ text: `${time(atMs)} ${text}`, tone: 'plain' }));
}

function incidentLine(incident: Incident, route: string): Line {
  const { id, title, key, status, severity, pagedAtMs, by, triggers } = incident;
  const paged = pagedAtMs.map(time).join(', ');
  const who = by === null ? '' : ` by ${by}`;
  const again = triggers > 1 ? ` · ${triggers} events in it` : '';
  const isOpen = status !== 'resolved';
  return {
    text: title,
    tone: isOpen ? (status === 'acknowledged' ? 'plain' : 'bad') : 'good',
    badges: [route, severity, `${status}${who}`],
    detail: `paged ${paged} · ${key}${again}`,
    presses: isOpen
      ? [
          status === 'triggered'
            ? { press: `acknowledged ${id}`, label: 'Acknowledge' }
            : { press: `unacknowledged ${id}`, label: 'Give back' },
          { press: `resolved ${id}`, label: 'Resolve' },
        ]
      : [],
  };
}

function rank({ status }: Incident): number {
  return ['triggered', 'acknowledged', 'resolved'].indexOf(status);
}

function truthWords({ sold, lacking }: { sold: number; lacking: readonly string[] }): string {
  if (sold === 0) return 'Nothing has been sold yet.';
  return lacking.length === 0
    ? 'Every order older than 10 seconds has arrived everywhere.'
    : `Orders are missing at ${lacking.join(', ')}.`;
}

function time(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 19);
}

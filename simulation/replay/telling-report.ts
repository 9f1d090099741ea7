import { PUBLIC_STATES } from '../../src/status-page/contract.js';
import type { ReplayResult } from './replay.js';
import { PAGE_ROUTES, type HourTold, type Page, type Worth } from './telling.js';
import { aligned, dateName, minutes } from './words.js';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Of a day: what the plain handler's people were sent and read, and what Plumbline's were paged for. */
export interface DayTold {
  mails: number;
  mailsRead: number;
  mailsOfRemovals: number;
  pages: readonly Page[];
  noise: number;
  /** The longest from the beginning of what a page names to the page, in minutes; of pages about no order and no removal, none. */
  worstMinutes: number | null;
  hours: readonly HourTold[];
}

export function daysTold({ story, told, plain, readMails }: ReplayResult): DayTold[] {
  return plain.days.map((day, index): DayTold => {
    const fromMs = story.startAtMs + index * DAY_MS;
    const pages = told.pages.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + DAY_MS);
    const removed = pages.filter(({ route }) => route === 'removed').flatMap((page) => minutesTo(page) ?? []);
    return {
      mails: day.mails,
      mailsRead: readMails[index] ?? 0,
      mailsOfRemovals: day.removedMails,
      pages,
      noise: pages.filter(isNoise).length,
      worstMinutes: removed.length === 0 ? null : Math.max(...removed),
      hours: told.hours.slice(index * 24, (index + 1) * 24),
    };
  });
}

export function isNoise({ worth }: Page): boolean {
  return worth !== 'own';
}

export function minutesTo({ atMs, sinceMs }: Page): number | null {
  return sinceMs === null ? null : (atMs - sinceMs) / MINUTE_MS;
}

export const WORTH_WORDS: Readonly<Record<Worth, string>> = {
  own: '',
  again: 'noise: told already',
  nothing: 'noise: nothing was wrong',
};

export const STATE_SHORT: Readonly<Record<HourTold['state'], string>> = {
  operational: 'operational',
  under_maintenance: 'maintenance',
  degraded_performance: 'degraded',
  unknown: 'unknown',
  partial_outage: 'partial',
  major_outage: 'major',
};

/** Mails to the plain handler's people; pages of Plumbline; hours by the worst that its page said; hours with late orders. */
export function tellingTable(result: ReplayResult): string {
  const states = PUBLIC_STATES.filter((state) => state !== 'under_maintenance');
  const head = [
    'day',
    '',
    'mails',
    'read',
    'of removals',
    '| pages:',
    ...PAGE_ROUTES,
    'noise',
    'after (min)',
    '| page:',
    ...states.map((state) => STATE_SHORT[state]),
    '| missing:',
    'plain',
    'Plumbline',
  ];
  const rows = daysTold(result).map((day, index) => [
    String(index + 1),
    dateName(result.story.startAtMs + index * DAY_MS),
    ...[day.mails, day.mailsRead, day.mailsOfRemovals].map(String),
    '|',
    ...PAGE_ROUTES.map((route) => String(day.pages.filter((page) => page.route === route).length)),
    String(day.noise),
    day.worstMinutes === null ? '' : minutes(day.worstMinutes),
    '|',
    ...states.map((state) => String(day.hours.filter((hour) => hour.worst === state).length)),
    '|',
    String(day.hours.filter(({ missingWithin }) => missingWithin.plain > 0).length),
    String(day.hours.filter(({ missingWithin }) => missingWithin.plumbline > 0).length),
  ]);
  return aligned([head, ...rows]);
}

export function pageTable({ told }: ReplayResult): string {
  if (told.pages.length === 0) return 'none';
  const rows = told.pages.map((page) => {
    const after = minutesTo(page);
    return [
      instant(page.atMs),
      page.route,
      after === null ? '' : minutes(after),
      page.closedAtMs === null ? 'open' : minutes((page.closedAtMs - page.atMs) / MINUTE_MS),
      String(page.triggers),
      page.key,
      WORTH_WORDS[page.worth],
    ];
  });
  return aligned([['at', 'route', 'after (min)', 'open for (min)', 'triggers', 'key', ''], ...rows], [0, 1, 5, 6]);
}

export function hourTable({ told }: ReplayResult): string {
  const rows = told.hours
    .filter(({ worst, missingWithin }) => worst !== 'operational' || missingWithin.plumbline > 0)
    .map(({ atMs, state, worst, headline, missing, missingWithin }) => [
      instant(atMs),
      STATE_SHORT[state],
      STATE_SHORT[worst],
      String(missing.plumbline),
      String(missingWithin.plumbline),
      headline,
    ]);
  if (rows.length === 0) return 'none';
  return aligned([['at', 'said', 'worst in it', 'missing then', 'in the hour', 'words then'], ...rows], [0, 1, 2, 5]);
}

/** Hours in which orders were late and not there, and the page said nothing but operational: nobody knew. */
export function unknowingHours({ told }: ReplayResult): number {
  return told.hours.filter(({ worst, missingWithin }) => worst === 'operational' && missingWithin.plumbline > 0).length;
}

export function tellingWords(result: ReplayResult): string[] {
  const { told, plain, readMails } = result;
  const noise = (routes: readonly string[]): number =>
    told.pages.filter((page) => routes.includes(page.route) && isNoise(page)).length;
  const { mails } = plain.evidence;
  const failing = mails.filter(({ kind }) => kind === 'failing').length;
  const read = readMails.reduce((sum, count) => sum + count, 0);
  const noticed = plain.evidence.removals.flatMap(({ atMs, noticedAtMs }) =>
    noticedAtMs === null ? [] : [(noticedAtMs - atMs) / MINUTE_MS],
  );
  const missing = told.hours.filter(({ missingWithin }) => missingWithin.plumbline > 0).length;
  const open = told.pages.filter(({ closedAtMs }) => closedAtMs === null);
  return [
    `Plumbline paged ${told.pages.length} times, ${noise(PAGE_ROUTES)} of them noise (` +
      PAGE_ROUTES.map((route) => `${route} ${noise([route])}`).join(', ') +
      `); ${told.tickets} tickets. PagerDuty took ${told.events.trigger} triggers (${told.joined} joined an open incident) and ` +
      `${told.events.resolve} resolves, ${told.tests} daily tests among them; ${open.length} pages are open at the end.`,
    `The plain handler's people got ${mails.length} mails, ${failing} of them noise, and read ${read}. They noticed ${noticed.length} of ` +
      `${plain.evidence.removals.length} removals, ${spanOf(noticed)}; nothing told the public.`,
    `In ${missing} of ${told.hours.length} hours orders of Plumbline were late and not there; in ${unknowingHours(result)} of these its page said nothing but operational. ` +
      `${told.incidents.declared} incidents, ${told.incidents.proved} of them ended by a proof.`,
  ];
}

function spanOf(values: readonly number[]): string {
  return values.length === 0
    ? 'none'
    : `after ${minutes(Math.min(...values))} to ${minutes(Math.max(...values))} minutes`;
}

export function instant(atMs: number): string {
  return `${dateName(atMs)} ${new Date(atMs).toISOString().slice(11, 16)}`;
}

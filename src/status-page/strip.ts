import { html, join, type Html } from '../kernel/html.js';
import { DAY_MS, DAYS_SHOWN, formulaOf, startOf } from './days.js';
import type { Links } from './links.js';
import type { Look } from './look.js';
import { countWords, dayOf, dayWords, percentWords } from './public-words.js';
import type { DayFigure, DayStrip, SnapshotIncident } from './snapshot.js';

/**
 * How a day looks: each has a form of its own, so that colour alone tells nobody anything.
 *
 * - `full`: everything arrived, and the figure is final
 * - `counting`: nothing is known to be lost, and the figure may still change
 * - `slight`, `some`, `heavy`: below 100, 99.99 and 99 per cent
 * - `none`: nothing is known of it; never green
 */
export type DayLevel = 'full' | 'counting' | 'slight' | 'some' | 'heavy' | 'none';

export function levelOf(figure: DayFigure | undefined): DayLevel {
  if (figure === undefined || figure.owed <= 0) return 'none';
  const share = figure.arrived / figure.owed;
  if (share >= 1) return figure.isSettled ? 'full' : 'counting';
  return share >= 0.9999 ? 'slight' : share >= 0.99 ? 'some' : 'heavy';
}

export interface StripDay {
  day: string;
  level: DayLevel;
  incidents: number;
  /** `22 Aug 2026: 99.99 %, 1 incident` */
  words: string;
}

/** The last 90 days of a component, oldest first. Pure. */
export function stripDays(
  strip: DayStrip | undefined,
  incidents: readonly SnapshotIncident[],
  nowMs: number,
): StripDay[] {
  const figures = new Map(strip?.days.map((figure) => [figure.day, figure]));
  return Array.from({ length: DAYS_SHOWN }, (_, index) => {
    const startMs = startOf(nowMs) - (DAYS_SHOWN - 1 - index) * DAY_MS;
    const day = dayOf(startMs);
    const touching = incidentsOn(incidents, startMs).length;
    const figure = figures.get(day);
    const level = levelOf(figure);
    const share = figure && percentWords(figure.arrived, figure.owed);
    const parts = [
      share ?? 'no data',
      ...(share != null && figure?.isSettled === false ? ['not final'] : []),
      ...(touching > 0 ? [countWords(touching, 'incident')] : []),
    ];
    return { day, level, incidents: touching, words: `${dayWords(day)}: ${parts.join(', ')}` };
  });
}

/** Incidents that were going on in a day. */
export function incidentsOn(incidents: readonly SnapshotIncident[], startMs: number): SnapshotIncident[] {
  return incidents.filter(
    ({ startedAtMs, resolvedAtMs }) => startedAtMs < startMs + DAY_MS && (resolvedAtMs ?? Infinity) >= startMs,
  );
}

/** `99.998 % of 12,345 orders, 2 incidents`; nothing is said of what is not known. */
export function stripSummary(strip: DayStrip | undefined, days: readonly StripDay[], incidents: number): string {
  const figures = strip?.days ?? [];
  const owed = figures.reduce((sum, figure) => sum + figure.owed, 0);
  const share = percentWords(
    figures.reduce((sum, figure) => sum + figure.arrived, 0),
    owed,
  );
  const known = days.filter(({ level }) => level !== 'none').length;
  const counted = { orders: 'order', stores: 'store-day', minutes: 'minute' }[strip?.unit ?? 'orders'];
  const span = known === DAYS_SHOWN ? 'in 90 days' : `in ${countWords(known, 'day')} of 90`;
  return [
    share === null ? 'No data in 90 days' : `${share} of ${countWords(owed, counted)} ${span}`,
    ...(incidents > 0 ? [countWords(incidents, 'incident')] : []),
  ].join(', ');
}

/** The strip of one component: a picture with its sum in words, which opens into a list of days. */
export function stripOf(look: Look, component: string, name: string, links: Links): Html {
  const { days: strips, incidents } = look.publication.snapshot;
  const strip = strips[component];
  const touching = incidents.filter(({ components }) => components.some(({ id }) => id === component));
  const days = stripDays(strip, touching, look.nowMs);
  const firstMs = startOf(look.nowMs) - (DAYS_SHOWN - 1) * DAY_MS;
  const recent = touching.filter(({ resolvedAtMs }) => (resolvedAtMs ?? Infinity) >= firstMs).length;
  return html`<details>
    <summary>
      ${picture(days)}
      <span class="sum">${stripSummary(strip, days, recent)}</span>
      <span class="open-days">Day by day<span class="hidden"> of ${name}</span></span>
    </summary>
    <ol class="days">
      ${join(
        days.map(
          ({ day, level, incidents: count, words }) =>
            html`<li>
              <a class="day ${level}${count > 0 ? ' struck' : ''}" href="${links.history}#${day}"
                ><span aria-hidden="true">${Number(day.slice(8))}</span><span class="tip">${words}</span></a
              >
            </li>`,
        ),
      )}
    </ol>
    <p class="formula">A day's figure: ${formulaOf(component)}.</p>
  </details>`;
}

const BAR = 10;
const HEIGHT = 36;
/** How much of a bar's top is missing. */
const BITE: Readonly<Record<DayLevel, number>> = { full: 0, counting: 0, slight: 5, some: 12, heavy: 20, none: 27 };

function picture(days: readonly StripDay[]): Html {
  const width = days.length * BAR;
  return html`<svg
    class="strip"
    viewBox="0 0 ${width} ${HEIGHT + 8}"
    preserveAspectRatio="none"
    aria-hidden="true"
    focusable="false"
  >
    ${join(
      days.map(({ level, incidents }, index) => {
        const x = index * BAR + 1;
        const y = BITE[level] + 1;
        const height = (level === 'none' ? 4 : HEIGHT - BITE[level]) - 2;
        const bar = html`<rect class="${level}" x="${x}" y="${y}" width="${BAR - 3}" height="${height}" />`;
        const mark = html`<path class="struck" d="M${x} ${HEIGHT + 8}h${BAR - 3}l-${(BAR - 3) / 2}-7z" />`;
        return incidents > 0 ? join([bar, mark]) : bar;
      }),
    )}
  </svg>`;
}

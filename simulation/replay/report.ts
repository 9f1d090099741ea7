import type { ReplayResult, System } from './replay.js';
import type { DayOfSystem } from './tally.js';
import { aligned, dateName, minutes, percent } from './words.js';
import { hourTable, pageTable, tellingTable, tellingWords } from './telling-report.js';

const DAY_MS = 86_400_000;

/** The result as text: a table a system, and what stands out. */
export function report(result: ReplayResult): string {
  const { plain, plumbline, story, pings, settled } = result;
  return [
    `Seed ${result.seed}: ${story.days} days of ${story.stores} stores in ${result.realSeconds.toFixed(0)} s.`,
    '',
    'A plain handler, as in 2019',
    table(plain, story.startAtMs),
    '',
    'Plumbline',
    table(plumbline, story.startAtMs),
    '',
    "Who was told: mails to the plain handler's people; pages of Plumbline; hours by the worst that its public page said; hours with orders late and not there",
    tellingTable(result),
    '',
    'Pages of Plumbline, in their order',
    pageTable(result),
    '',
    'Full hours at which the public page said anything but operational, or orders were late and not there',
    hourTable(result),
    '',
    ...tellingWords(result),
    `The plain handler's host answered ${pings.answered} of ${pings.asked} uptime pings.`,
    `Plumbline at the end: ${settled.waiting} deliveries waiting, ${settled.deadLetters} dead letters, ` +
      `${settled.openSignals} signals open, ${settled.unconfirmed} orders not read back, ${settled.disagreeing} orders of which its books and the far sides disagree.`,
    result.broken.length === 0 ? 'Every promise kept.' : `NOT KEPT: ${result.broken.join('; ')}.`,
  ].join('\n');
}

function table(system: System, startAtMs: number): string {
  const head = [
    'day',
    '',
    'sold',
    'arrived',
    '%',
    'late',
    'lost',
    'removed',
    'noticed after (min)',
    'mails',
    'signals',
  ];
  const rows = system.days.map((each, index) => [
    String(index + 1),
    dateName(startAtMs + index * DAY_MS),
    ...numbers(each),
    String(each.removals),
    detection(each),
    String(each.mails),
    String(each.signals),
  ]);
  const sum = (pick: (each: DayOfSystem) => number): string =>
    String(system.days.reduce((total, each) => total + pick(each), 0));
  rows.push([
    'all',
    '',
    ...numbers(system.total),
    sum(({ removals }) => removals),
    '',
    sum(({ mails }) => mails),
    sum(({ signals }) => signals),
  ]);
  return aligned([head, ...rows]);
}

function numbers({ sold, arrived, late, lost }: Pick<DayOfSystem, 'sold' | 'arrived' | 'late' | 'lost'>): string[] {
  const share = sold === 0 ? '' : percent(arrived / sold);
  return [String(sold), String(arrived), share, String(late), String(lost)];
}

/** First and worst, in minutes. */
export function detection(each: DayOfSystem): string {
  const { removals, firstDetectionMinutes: first, worstDetectionMinutes: worst, unnoticed } = each;
  if (removals === 0) return '';
  const never = unnoticed === 0 ? '' : `${unnoticed} never`;
  if (first === null || worst === null) return never;
  const spread = first === worst ? minutes(first) : `${minutes(first)} to ${minutes(worst)}`;
  return [spread, never].filter((part) => part !== '').join(', ');
}

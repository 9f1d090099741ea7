import type { ReplayResult, System } from './replay.js';
import { minutes } from './words.js';
import type { Removal } from './removals.js';
import { area, axes, bar, label, line, picture, x, y, type Frame, WIDTH } from './svg.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

export function frameOf({ story }: ReplayResult, height: number, max: number): Frame {
  return { height, max, fromMs: story.startAtMs, toMs: story.startAtMs + story.days * DAY_MS };
}

/** A bar a day: arrived in time, arrived late, lost. */
export function ordersPanel(result: ReplayResult, name: string, system: System): string {
  const most = Math.max(...result.plain.days.map(({ sold }) => sold));
  const step = most > 200 ? 100 : 50;
  const frame = frameOf(result, 210, Math.ceil((most * 1.12) / step) * step);
  const ticks = Array.from({ length: Math.floor(frame.max / step) + 1 }, (_, index) => index * step);
  const bars = system.days.map(({ sold, arrived, late, lost }, index) => {
    const left = x(frame, frame.fromMs + index * DAY_MS) + 9;
    const width = x(frame, frame.fromMs + (index + 1) * DAY_MS) - 9 - left;
    const parts = [
      { className: 'good', count: arrived - late, word: 'arrived in time' },
      { className: 'late', count: late, word: 'arrived late' },
      { className: 'lost', count: lost, word: 'lost' },
    ];
    let below = 0;
    const stack = parts.map(({ className, count, word }) => {
      const top = y(frame, below + count);
      const height = y(frame, below) - top;
      below += count;
      return bar(className, left, top, width, height, `${count} of ${sold} ${word}`);
    });
    const words =
      lost === 0 ? '' : label('value lost-text', left + width / 2, y(frame, sold) - 5, `−${lost}`, 'middle');
    return stack.join('') + words;
  });
  const { sold, arrived, late, lost } = system.total;
  const description = `${sold} orders sold, ${arrived} arrived, ${late} of them late, ${lost} lost. The table below has each day.`;
  return picture(
    `Orders of each day, ${name}`,
    description,
    frame.height,
    axes(frame, ticks, String) + bars.join('\n'),
  );
}

/** What the uptime ping saw, and how many engines there really were. */
export function enginesPanel(result: ReplayResult): string {
  const frame = frameOf(result, 190, 1);
  const alive = result.hours.flatMap(({ atMs, enginesAlive, engines }) => [
    { atMs, value: enginesAlive / engines },
    { atMs: atMs + HOUR_MS, value: enginesAlive / engines },
  ]);
  const ping = [frame.fromMs, frame.toMs].map((atMs) => ({ atMs, value: 1 }));
  const fewest = result.hours.reduce((one, other) =>
    one.enginesAlive / one.engines <= other.enginesAlive / other.engines ? one : other,
  );
  // Beside the end of the worst time, where the line has gone up again and runs through no word.
  const worstEnds = result.hours.findLast(({ enginesAlive }) => enginesAlive === fewest.enginesAlive) ?? fewest;
  const at = x(frame, worstEnds.atMs + HOUR_MS);
  const isRoom = at < WIDTH - 200;
  const words = `${fewest.enginesAlive} of ${fewest.engines} engines left`;
  return picture(
    'Engines alive, and the uptime ping',
    `Every uptime ping was answered; at the worst ${words}.`,
    frame.height,
    axes(frame, [0, 0.5, 1], (value) => `${value * 100} %`) +
      area(frame, 'plain', alive) +
      line(frame, 'plain', alive) +
      line(frame, 'ping', ping) +
      label(
        'value',
        isRoom ? at + 8 : at - 8,
        y(frame, fewest.enginesAlive / fewest.engines) - 8,
        words,
        isRoom ? 'start' : 'end',
      ),
  );
}

/** Attempts of Shopify that got no good answer, by the hour. */
export function failuresPanel(result: ReplayResult): string {
  const frame = frameOf(result, 190, 1);
  const of = (which: 'plain' | 'plumbline') =>
    result.hours.map(({ atMs, failedShare }) => ({ atMs: atMs + HOUR_MS / 2, value: failedShare[which] }));
  const worst = Math.max(...result.hours.map(({ failedShare }) => failedShare.plain ?? 0));
  return picture(
    'Attempts that failed',
    `Share of Shopify's attempts without a good answer in five seconds; up to ${Math.round(worst * 100)} % at the plain handler.`,
    frame.height,
    axes(frame, [0, 0.5, 1], (value) => `${value * 100} %`) +
      line(frame, 'plain', of('plain')) +
      line(frame, 'plumbline', of('plumbline')),
  );
}

/** Mails a day, and how few of them said that a subscription was gone. */
export function mailsPanel(result: ReplayResult): string {
  const most = Math.max(10, ...result.plain.days.map(({ mails }) => mails));
  const step = most > 200 ? 100 : most > 60 ? 50 : 10;
  // Two lines of words stand over the highest bar.
  const frame = frameOf(result, 190, Math.ceil((most * 1.25) / step) * step);
  const ticks = Array.from({ length: Math.floor(frame.max / step) + 1 }, (_, index) => index * step);
  const bars = result.plain.days.map(({ mails, removedMails }, index) => {
    const left = x(frame, frame.fromMs + index * DAY_MS) + 22;
    const width = x(frame, frame.fromMs + (index + 1) * DAY_MS) - 22 - left;
    const removedTop = y(frame, removedMails);
    const middle = left + width / 2;
    const above = y(frame, mails) - 5;
    return (
      bar(
        'mail',
        left,
        y(frame, mails),
        width,
        removedTop - y(frame, mails),
        `${mails - removedMails} mails: failing`,
      ) +
      bar('lost', left, removedTop, width, y(frame, 0) - removedTop, `${removedMails} mails: removed`) +
      (mails === 0 ? '' : label('value', middle, removedMails === 0 ? above : above - 14, String(mails), 'middle')) +
      (removedMails === 0 ? '' : label('value lost-text', middle, above, `${removedMails} removed`, 'middle'))
    );
  });
  const sum = result.plain.days.reduce((total, { mails }) => total + mails, 0);
  const removed = result.plain.days.reduce((total, { removedMails }) => total + removedMails, 0);
  return picture(
    'Mails from Shopify',
    `${sum} mails, of which ${removed} said that a subscription had been removed.`,
    frame.height,
    axes(frame, ticks, String) + bars.join('\n'),
  );
}

/** One row a store and topic: from the removal until it was noticed. */
export function removalsPanel(result: ReplayResult): string {
  const { plain, plumbline } = result;
  const names = [...new Set([...plain.evidence.removals, ...plumbline.evidence.removals].map(nameOf))].sort();
  if (names.length === 0) return '<p>No subscription was removed.</p>';
  const row = 34;
  const frame = frameOf(result, 14 + names.length * row + 26, 1);
  const rows = names.map((name, index) => {
    const top = 14 + index * row;
    const plainBars = plain.evidence.removals
      .filter((removal) => nameOf(removal) === name)
      .map((removal) => {
        const from = x(frame, removal.atMs);
        const to = x(frame, Math.min(removal.noticedAtMs ?? frame.toMs, frame.toMs));
        return bar('lost', from, top + 13, Math.max(2, to - from), 8, `plain handler: ${hint(removal)}`);
      });
    const marks = plumbline.evidence.removals
      .filter((removal) => nameOf(removal) === name)
      .map((removal) =>
        bar('plumbline-mark', x(frame, removal.atMs) - 1.5, top + 23, 5, 8, `Plumbline: ${hint(removal)}`),
      );
    const line = `<line class="grid" x1="56" x2="${WIDTH - 16}" y1="${top + row}" y2="${top + row}"/>`;
    return line + label('row', 62, top + 10, name) + plainBars.join('') + marks.join('');
  });
  const description =
    `${plain.evidence.removals.length} removals at the plain handler and ${plumbline.evidence.removals.length} at Plumbline, ` +
    'each as a bar from the removal until it was noticed.';
  return picture(
    'Removed subscriptions until they were noticed',
    description,
    frame.height,
    axes(frame, [], String) + rows.join('\n'),
  );
}

function nameOf({ domain, topic }: Removal): string {
  return `${storeName(domain)}, ${topic}`;
}

export function storeName(domain: string): string {
  return domain.replace(/^sandbox-/, '').replace(/\.myshopify\.com$/, '');
}

function hint({ atMs, noticedAtMs }: Removal): string {
  return noticedAtMs === null ? 'never noticed' : `noticed after ${minutes((noticedAtMs - atMs) / 60_000)} minutes`;
}

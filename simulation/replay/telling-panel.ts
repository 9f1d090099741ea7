import { frameOf, storeName } from './panels.js';
import type { ReplayResult } from './replay.js';
import { axes, bar, label, picture, x, type Frame } from './svg.js';
import { instant, isNoise, minutesTo, STATE_SHORT } from './telling-report.js';
import type { HourTold } from './telling.js';
import { minutes } from './words.js';

const HOUR_MS = 3_600_000;
const ROW = 40;
const STRIP = 18;

interface Row {
  name: string;
  className: (hour: HourTold) => string;
  hint: (hour: HourTold) => string;
}

/** A strip an hour: what was said, above what was true; and the pages that were sent. */
export function publicPanel(result: ReplayResult): string {
  const { hours, pages } = result.told;
  const rows: readonly Row[] = [
    {
      name: 'The public page said, at its worst within the hour',
      className: ({ worst }) => STATE_SHORT[worst],
      hint: ({ worst }) => STATE_SHORT[worst],
    },
    {
      name: 'It said at the full hour',
      className: ({ state }) => STATE_SHORT[state],
      hint: ({ headline }) => headline,
    },
    {
      name: 'Truth at Plumbline: orders late and not there',
      className: ({ missingWithin }) => (missingWithin.plumbline > 0 ? 'lost' : 'none'),
      hint: ({ missingWithin }) => `${missingWithin.plumbline} orders missing`,
    },
    {
      name: 'Truth at the plain handler, which told nobody',
      className: ({ missingWithin }) => (missingWithin.plain > 0 ? 'lost' : 'none'),
      hint: ({ missingWithin }) => `${missingWithin.plain} orders missing`,
    },
  ];
  const frame = frameOf(result, 14 + (rows.length + 1) * ROW + 26, 1);
  const strips = rows.map((row, index) => {
    const top = 14 + index * ROW;
    return label('row', 62, top + 11, row.name) + hours.map((hour) => cell(frame, row, hour, top + 16)).join('');
  });
  const top = 14 + rows.length * ROW;
  const marks = pages.map((page) => {
    const after = minutesTo(page);
    const hint = `${instant(page.atMs)}, ${page.route}${after === null ? '' : `, after ${minutes(after)} minutes`}: ${page.title.replaceAll(/sandbox-[a-z-]+\.myshopify\.com/g, storeName)}`;
    return bar(isNoise(page) ? 'noise' : 'page', x(frame, page.atMs) - 1.5, top + 16, 3, STRIP, hint);
  });
  const troubled = hours.filter(({ worst }) => worst !== 'operational').length;
  const missing = hours.filter(({ missingWithin }) => missingWithin.plumbline > 0).length;
  const missingPlain = hours.filter(({ missingWithin }) => missingWithin.plain > 0).length;
  return picture(
    'What the public page said',
    `Of ${hours.length} hours the page said something else than operational in ${troubled}; orders were late and not there in ${missing}, and in ${missingPlain} at the plain handler. ${pages.length} pages were sent.`,
    frame.height,
    axes(frame, [], String) + strips.join('\n') + label('row', 62, top + 11, 'Pages sent') + marks.join(''),
  );
}

function cell(frame: Frame, row: Row, hour: HourTold, top: number): string {
  const left = x(frame, hour.atMs - HOUR_MS);
  return bar(
    row.className(hour),
    left,
    top,
    x(frame, hour.atMs) - left,
    STRIP,
    `${instant(hour.atMs)}: ${row.hint(hour)}`,
  );
}

/** Just enough SVG for the page: time from left to right, values from the bottom up. */

export const WIDTH = 960;
const LEFT = 56;
const RIGHT = 16;

export interface Frame {
  height: number;
  fromMs: number;
  toMs: number;
  /** Greatest value; the least is 0. */
  max: number;
}

const TOP = 14;
const BOTTOM = 26;
const DAY_MS = 86_400_000;

export function x(frame: Frame, atMs: number): number {
  const share = (atMs - frame.fromMs) / (frame.toMs - frame.fromMs);
  return round(LEFT + share * (WIDTH - LEFT - RIGHT));
}

export function y(frame: Frame, value: number): number {
  return round(frame.height - BOTTOM - (value / frame.max) * (frame.height - TOP - BOTTOM));
}

/** A picture with its name for who cannot see it. */
export function picture(name: string, description: string, height: number, inside: string): string {
  const id = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-t ${id}-d">
<title id="${id}-t">${text(name)}</title><desc id="${id}-d">${text(description)}</desc>
${inside}</svg>`;
}

/** Days below, values at the left, and a quiet grid. */
export function axes(frame: Frame, ticks: readonly number[], say: (value: number) => string): string {
  const days: string[] = [];
  for (let atMs = frame.fromMs; atMs < frame.toMs; atMs += DAY_MS) {
    const middle = x(frame, atMs + DAY_MS / 2);
    const label = new Date(atMs).toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', timeZone: 'UTC' });
    days.push(
      `<line class="grid" x1="${x(frame, atMs)}" x2="${x(frame, atMs)}" y1="${TOP}" y2="${frame.height - BOTTOM}"/>`,
      `<text class="axis" x="${middle}" y="${frame.height - 8}" text-anchor="middle">${label}</text>`,
    );
  }
  const values = ticks.map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(frame, value)}" y2="${y(frame, value)}"/>` +
      `<text class="axis" x="${LEFT - 8}" y="${y(frame, value) + 4}" text-anchor="end">${text(say(value))}</text>`,
  );
  return [...days, ...values].join('\n');
}

/** A line through points; a gap where nothing is known. */
export function line(
  frame: Frame,
  className: string,
  points: readonly { atMs: number; value: number | null }[],
): string {
  let pen = 'M';
  const path = points
    .flatMap(({ atMs, value }) => {
      if (value === null) {
        pen = 'M';
        return [];
      }
      const step = `${pen}${x(frame, atMs)} ${y(frame, value)}`;
      pen = 'L';
      return [step];
    })
    .join(' ');
  return `<path class="line ${className}" d="${path}"/>`;
}

/** The area below a line, down to zero. */
export function area(frame: Frame, className: string, points: readonly { atMs: number; value: number }[]): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return '';
  const path = points.map(({ atMs, value }) => `L${x(frame, atMs)} ${y(frame, value)}`).join(' ');
  return `<path class="area ${className}" d="M${x(frame, first.atMs)} ${y(frame, 0)} ${path} L${x(frame, last.atMs)} ${y(frame, 0)} Z"/>`;
}

export function bar(className: string, left: number, top: number, width: number, height: number, hint: string): string {
  if (height <= 0 || width <= 0) return '';
  return `<rect class="${className}" x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${round(height)}"><title>${text(hint)}</title></rect>`;
}

export function label(className: string, left: number, top: number, words: string, anchor = 'start'): string {
  return `<text class="${className}" x="${round(left)}" y="${round(top)}" text-anchor="${anchor}">${text(words)}</text>`;
}

export function text(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Never less, and never more unless the terminal is wider. */
export const WIDTH_MIN = 80;
const GAP = 2;
const COLUMN_MIN = 6;

/**
 * Rows as aligned text that fits a width: the widest columns give way first, cut with `…`. The first column is what the
 * next command is given, so it is never cut. A cell never breaks a line.
 *
 * @param width characters; 80 or the terminal's
 */
export function table(
  headers: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  width: number,
): string {
  const cells = [headers, ...rows].map((row) =>
    row.map((cell) => (cell === null ? '-' : String(cell).replace(/(?<=\S)\s+/g, ' '))),
  );
  const widths = headers.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const room = Math.max(width, WIDTH_MIN) - GAP * (headers.length - 1);
  while (widths.reduce((sum, each) => sum + each, 0) > room) {
    const widest = widths.indexOf(Math.max(...widths.slice(1)), 1);
    if (widest === -1 || (widths[widest] ?? 0) <= COLUMN_MIN) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return cells
    .map((row) =>
      row
        .map((cell, column) => fit(cell, widths[column] ?? 0))
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
    .join('\n');
}

function fit(text: string, width: number): string {
  return (text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text).padEnd(width);
}

/** An instant as people read it: to the second, UTC. */
export function when(instant: string | null): string {
  return instant === null ? '-' : `${instant.slice(0, 19).replace('T', ' ')}Z`;
}

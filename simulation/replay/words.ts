/** Numbers and days as people read them. */

export function minutes(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

export function percent(share: number): string {
  return share === 1 ? '100' : (Math.floor(share * 1_000) / 10).toFixed(1);
}

export function dateName(atMs: number): string {
  return new Date(atMs).toLocaleDateString('en-GB', {
    weekday: 'short',
    day: '2-digit',
    month: 'short',
    timeZone: 'UTC',
  });
}

/** @param leftOnes columns that hold words; the others hold numbers */
export function aligned(rows: readonly (readonly string[])[], leftOnes: readonly number[] = [0, 1]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          leftOnes.includes(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

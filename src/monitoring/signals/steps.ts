/**
 * A count as a signal tells it: exact while it is small, then the step it has passed (10, 20, 50, 100 …). A signal's facts
 * are news when they change, and a count that grows by one at every look would be news all day.
 */
export function atLeast(count: number): number {
  if (count <= 10) return count;
  const tens = 10 ** Math.floor(Math.log10(count));
  return ([5, 2].find((step) => step * tens <= count) ?? 1) * tens;
}

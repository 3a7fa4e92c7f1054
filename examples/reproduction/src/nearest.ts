/** The names most like `wanted`, best first: for messages about a name that does not exist. */
export function nearest(wanted: string, names: readonly string[], count = 3): string[] {
  const scored = names.map((name) => ({ name, distance: distance(wanted, name) }));
  return scored
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ name }) => name);
}

/** Levenshtein's distance; letters put in front or behind cost a tenth (`epochs` is near `training.epochs`). */
function distance(from: string, to: string): number {
  if (to.toLowerCase().includes(from.toLowerCase())) return (to.length - from.length) / 10;
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++)
      next.push(
        Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)),
      );
    row = next;
  }
  return row[to.length]!;
}

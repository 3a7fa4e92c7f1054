/**
 * The names most like `wanted`, best first, for messages about a name that does not exist.
 *
 * @param wanted the name that was given
 * @param names the names that exist
 * @param count how many names to return at most; default 3
 * @returns up to `count` of `names`, in order of their distance from `wanted`
 * @example
 * nearestNames("epoch", ["sigma", "training.epochs"], 1); // ["training.epochs"]
 */
export function nearestNames(wanted: string, names: readonly string[], count = 3): string[] {
  const scored = names.map((name) => ({ name, distance: nameDistance(wanted, name) }));
  return scored
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ name }) => name);
}

/**
 * The number of edits (insert, delete, replace, swap neighbours: "optimal string alignment") from one
 * name to another, upper and lower case being equal. Letters put in front or behind cost a tenth
 * (`epochs` is near `training.epochs`).
 */
export function nameDistance(from: string, to: string): number {
  const [a, b] = [from.toLowerCase(), to.toLowerCase()];
  if (b.includes(a)) return (b.length - a.length) / 10;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swaps = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = swaps ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, replaced, swapped));
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}

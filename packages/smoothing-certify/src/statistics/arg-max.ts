/** The first of the largest values; -1 where there are none. Spread into `Math.max`, many values overflow the stack. */
export function argMax(values: readonly number[]): number {
  let best = values.length > 0 ? 0 : -1;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

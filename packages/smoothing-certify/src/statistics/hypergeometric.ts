/** Where the probabilities of a hypergeometric distribution are at all large, in ascending order. */
export interface Hypergeometric {
  /** The smallest value. */
  readonly first: number;
  /** What the probabilities of `first` and those that follow are in proportion to. */
  readonly weights: readonly number[];
}

/** Weights below this one, next to 1 for the most probable value, do not count. */
const LEAST = 1e-25;

/**
 * How many of `k` marked balls among `n` are in `draws` of them, without replacement. Each weight follows from its
 * neighbour by a ratio of small whole numbers, so nothing is lost where factorials of large numbers would cancel.
 */
export function hypergeometric(k: number, n: number, draws: number): Hypergeometric {
  const least = Math.max(0, draws - (n - k));
  const most = Math.min(draws, k);
  const mode = Math.floor(((draws + 1) * (k + 1)) / (n + 2));
  const start = Math.min(most, Math.max(least, mode));
  const up = [1];
  for (let i = start; i < most && up.at(-1)! > LEAST; i++)
    up.push((up.at(-1)! * (k - i) * (draws - i)) / ((i + 1) * (n - k - draws + i + 1)));
  const down: number[] = [];
  let weight = 1;
  for (let i = start; i > least && weight > LEAST; i--) {
    weight *= (i * (n - k - draws + i)) / ((k - i + 1) * (draws - i + 1));
    down.push(weight);
  }
  return { first: start - down.length, weights: [...down.reverse(), ...up] };
}

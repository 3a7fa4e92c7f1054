import { generator, key } from "@dmae/core";
import { adaptiveProcedure } from "../adaptive-procedure.ts";
import { atRadiusProcedure } from "../at-radius-procedure.ts";
import { clopperPearsonLower } from "../clopper-pearson.ts";
import type { LogRow } from "../log-row.ts";
import { normalCdf } from "../normal.ts";
import { SequentialTest } from "../sequential-test.ts";
import { simulate } from "./simulate.ts";

/** Certified accuracy and samples of several procedures on the same classifiers. */
export interface Replay {
  /** With the sequential test. */
  sequential: { certified: number; samples: number };
  /** With n = 10,000 and n = 100,000 fixed samples. */
  fixed: { n: number; certified: number }[];
  images: number;
}

/**
 * Replays a published log: each image stands for a Bernoulli classifier whose probability of the true
 * class is read off its radius (wrong and abstained ones are drawn from U(0, 0.5)), and is certified at
 * `radius` anew by the sequential test and by fixed samples.
 */
export function replay(
  rows: readonly LogRow[],
  sigma: number,
  radius: number,
  maxSamples: number,
): Replay {
  const random = generator(key(`replay ${radius} ${maxSamples}`));
  const alpha = 0.001;
  const threshold = normalCdf(radius / sigma);
  const test = new SequentialTest({ threshold, alpha, beta: 0.01, maxSamples });
  const settings = { radius, n0: 100, maxSamples, firstLook: 8 };
  const fixed = [10_000, 100_000].map((n) => ({ n, certified: 0, needed: votesNeeded(n, threshold, alpha) }));
  const sequential = { certified: 0, samples: 0 };
  for (const row of rows) {
    const p = row.correct ? normalCdf(row.radius / sigma) : random() / 2;
    const result = simulate(atRadiusProcedure(settings, test, 0), [p, 1 - p], random);
    sequential.samples += result.samples / rows.length;
    if (result.certified) sequential.certified++;
    for (const one of fixed) if (binomial(one.n, p, random) >= one.needed) one.certified++;
  }
  return { sequential, fixed, images: rows.length };
}

/** Mean samples of adaptive certification with 5 % of the radius given away, over the correct rows. */
export function replayAdaptive(rows: readonly LogRow[], sigma: number): number {
  const random = generator(key("replay adaptive"));
  const settings = { sigma, alpha: 0.001, pilot: 200, relativeWidth: 0.05, maxSamples: 100_000 };
  let sum = 0;
  for (const row of rows) {
    const p = row.correct ? normalCdf(row.radius / sigma) : random() / 2;
    sum += simulate(adaptiveProcedure(settings), [p, 1 - p], random).samples / rows.length;
  }
  return sum;
}

function votesNeeded(n: number, threshold: number, alpha: number): number {
  let [low, high] = [0, n + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (clopperPearsonLower(middle, n, alpha) >= threshold) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Votes of n independent draws, by a normal for large variance and one by one otherwise. */
function binomial(n: number, p: number, random: () => number): number {
  const variance = n * p * (1 - p);
  if (variance > 50) {
    const z = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.round(n * p + z * Math.sqrt(variance));
  }
  let successes = 0;
  for (let i = 0; i < n; i++) if (random() < p) successes++;
  return successes;
}

import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { adaptiveProcedure } from "../procedures/adaptive-procedure.ts";
import { atRadiusProcedure } from "../procedures/at-radius-procedure.ts";
import { logBetaCdf } from "../statistics/beta.ts";
import type { LogRow } from "../log/log-row.ts";
import { normalCdf } from "../statistics/normal.ts";
import { defaultPatience, SequentialTest, votesNeeded } from "../statistics/sequential-test.ts";
import { simulate } from "./simulate.ts";

/** Certified accuracy and samples of several procedures on the same classifiers. */
export interface Replay {
  /** With the sequential test. */
  sequential: { certified: number; samples: number };
  /** With n = 10,000 and n = 100,000 fixed samples: the expectation. */
  fixed: { n: number; certified: number }[];
  images: number;
}

/**
 * Replays a log: each image stands for a Bernoulli classifier with its probability of the true class
 * and is certified at `radius` anew by the sequential test and by fixed samples. Each `run` has other votes.
 */
export function replay(
  rows: readonly LogRow[],
  sigma: number,
  radius: number,
  maxSamples: number,
  run = 0,
): Replay {
  const random = generator(key(`replay ${radius} ${maxSamples} ${run}`));
  const alpha = 0.001;
  const threshold = normalCdf(radius / sigma);
  const patience = defaultPatience(threshold);
  const test = new SequentialTest({ threshold, alpha, beta: 0.01, patience, maxSamples });
  const settings = { radius, n0: 100, maxSamples, firstLook: 8 };
  const fixed = [10_000, 100_000].map((n) => ({ n, certified: 0, needed: votesNeeded(n, threshold, alpha) }));
  const sequential = { certified: 0, samples: 0 };
  for (const row of rows) {
    const p = probability(row, sigma, random);
    const result = simulate(atRadiusProcedure(settings, test, 0), [p, 1 - p], random);
    sequential.samples += result.samples / rows.length;
    if (result.certified) sequential.certified++;
    for (const one of fixed) one.certified += reaches(one.needed, one.n, p);
  }
  return { sequential, fixed, images: rows.length };
}

/** Mean samples of adaptive certification with 5 % of the radius given away, over the correct rows. */
export function replayAdaptive(rows: readonly LogRow[], sigma: number): number {
  const random = generator(key("replay adaptive"));
  const settings = { sigma, alpha: 0.001, pilot: 200, relativeWidth: 0.05, maxSamples: 100_000 };
  let sum = 0;
  for (const row of rows) {
    const p = probability(row, sigma, random);
    sum += simulate(adaptiveProcedure(settings), [p, 1 - p], random).samples / rows.length;
  }
  return sum;
}

/**
 * The probability of the true class: its share of the votes, or, where a published log has none, read
 * off the radius (wrong and abstained images are drawn from U(0, 0.5)).
 */
function probability(row: LogRow, sigma: number, random: () => number): number {
  const n = row.counts?.reduce((sum, count) => sum + count, 0) ?? 0;
  if (n > 0) return (row.counts![row.label]! + 0.5) / (n + 1);
  return row.correct ? normalCdf(row.radius / sigma) : random() / 2;
}

/** P(Binomial(n, p) >= k). */
function reaches(k: number, n: number, p: number): number {
  return k > n ? 0 : Math.exp(logBetaCdf(k, n - k + 1, p));
}

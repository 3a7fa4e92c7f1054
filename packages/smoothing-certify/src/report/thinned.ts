import { DmaeError } from "@dmae/core";
import { clopperPearsonLower } from "../statistics/clopper-pearson.ts";
import { hypergeometric } from "../statistics/hypergeometric.ts";
import { normalCdf } from "../statistics/normal.ts";
import { certifiedRadius } from "../statistics/radius.ts";
import { votesNeeded } from "../statistics/sequential-test.ts";
import type { VoteRow } from "./compared-log.ts";

/** Votes for the certified class, and what they were counted with. */
export interface Votes {
  readonly k: number;
  readonly n: number;
}

/** What a log of another tool does not say. */
export interface LogNumbers {
  readonly sigma: number;
  readonly alpha: number;
  readonly n: number;
}

/**
 * The votes of a row for its label; undefined where another class was guessed. Without votes in the log: those whose
 * radius is nearest to the printed one, which rounding may have raised or lowered, and undefined where it abstained.
 */
export function votesOf(row: VoteRow, numbers: LogNumbers): Votes | undefined {
  if (!row.guessed) return undefined;
  if (row.total > 0) return { k: row.votes!, n: row.total };
  const { sigma, alpha, n } = numbers;
  const above = votesNeeded(n, normalCdf(row.radius / sigma), alpha); // n + 1 above the largest radius
  const below = radiusOfVotes(above - 1, numbers);
  const isBelow = above > n || row.radius - below <= radiusOfVotes(above, numbers) - row.radius;
  return { k: isBelow && below > 0 ? above - 1 : above, n };
}

/**
 * What a row gives with `n` of its votes, drawn without replacement: the expected radius, and the
 * probability of at least each of `radii`, exactly (the votes for the class are hypergeometric).
 */
export function thinnedRow(
  votes: Votes | undefined,
  n: number,
  radiusOf: (k: number) => number,
  radii: readonly number[],
): { radius: number; certified: number[] } {
  const result = { radius: 0, certified: radii.map(() => 0) };
  if (!votes) return result;
  if (votes.n < n)
    throw new DmaeError(
      "argument",
      `compare: n must be at most the ${votes.n} votes of a row, got ${n}`,
    );
  const { first, weights } = hypergeometric(votes.k, votes.n, n);
  let total = 0;
  weights.forEach((weight, i) => {
    const radius = radiusOf(first + i);
    total += weight;
    result.radius += weight * radius;
    if (radius === 0) return;
    radii.forEach((r, at) => {
      if (radius >= r) result.certified[at]! += weight;
    });
  });
  return {
    radius: result.radius / total,
    certified: result.certified.map((weight) => weight / total),
  };
}

/** The radius of `k` votes of n. */
const radiusOfVotes = (k: number, { sigma, alpha, n }: LogNumbers): number =>
  certifiedRadius(clopperPearsonLower(k, n, alpha), sigma);

/** The radii of `k` votes of n, each worked out once. */
export function radiusTable(numbers: LogNumbers): (k: number) => number {
  const known = new Map<number, number>();
  return (k) => {
    const radius = known.get(k) ?? radiusOfVotes(k, numbers);
    known.set(k, radius);
    return radius;
  };
}

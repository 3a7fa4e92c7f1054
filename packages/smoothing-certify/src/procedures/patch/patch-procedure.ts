import { type Procedure, VoteCounts } from "../../run/procedure.ts";
import type { Ablations } from "./ablation.ts";

/** The votes of the ablated copies of one input, and what follows from them. */
export interface PatchResult {
  /** The class with most votes, the lowest of several. */
  readonly prediction: number;
  /** Whether no patch of the size asked for changes the prediction. */
  readonly certified: boolean;
  /** Side of the largest square patch that is certified; 0 where not even one pixel is. */
  readonly largestPatch: number;
  /** Votes by which the prediction leads the strongest rival, one less where that one wins ties. */
  readonly margin: number;
  /** Most ablated copies that a patch of the size asked for meets. */
  readonly met: number;
  /** Votes by class. */
  readonly counts: readonly number[];
  /** Ablated copies. */
  readonly copies: number;
}

/** Classifies every ablated copy and compares the lead with what a patch can take away. */
export function* patchProcedure(
  ablations: Ablations,
  met: number,
  copiesMetBySide: readonly number[],
): Procedure<PatchResult> {
  const votes = new VoteCounts();
  yield [{ stage: "estimation", first: 0, count: ablations.count, collector: votes }];
  const { counts } = votes;
  const prediction = votes.top();
  const margin = marginOf(counts, prediction);
  return {
    prediction,
    certified: margin >= 2 * met,
    largestPatch: largestSide(copiesMetBySide, margin),
    margin,
    met,
    counts,
    copies: ablations.count,
  };
}

/** The most copies that a square patch of side 1, 2 … meets. */
export function copiesMetBySide(
  ablations: Ablations,
  [height, width]: readonly [number, number],
): number[] {
  const sides = Array.from({ length: Math.min(height, width) }, (_, i) => i + 1);
  return sides.map((side) => ablations.mostMet([side, side]));
}

/** The lead over the strongest rival: a patch takes up to `met` votes away and gives as many to one rival. */
export function marginOf(counts: readonly number[], prediction: number): number {
  const own = counts[prediction]!;
  return counts.reduce(
    (least, votes, c) =>
      c === prediction ? least : Math.min(least, own - votes - (c < prediction ? 1 : 0)),
    Number.POSITIVE_INFINITY,
  );
}

/** A larger patch meets at least as many copies. */
function largestSide(met: readonly number[], margin: number): number {
  const failing = met.findIndex((copies) => margin < 2 * copies);
  return failing < 0 ? met.length : failing;
}

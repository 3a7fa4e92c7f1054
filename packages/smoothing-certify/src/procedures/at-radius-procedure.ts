import { DmaeError } from "@dmae/core";
import type { Outputs } from "../classifier/outputs.ts";
import { type Collector, type Procedure, VoteCounts } from "../run/procedure.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import type { SequentialTest, Verdict } from "../statistics/sequential-test.ts";

/** What a sequential test at one radius found out about one input. */
export interface AtRadiusResult {
  /** Whether the class is certified at the radius. */
  readonly certified: boolean;
  /** The class if certified, else `ABSTAIN` (-1). */
  readonly prediction: number;
  /** The radius asked for if certified, else 0. */
  readonly radius: number;
  /** Why the test stopped: certified, given up early, or undecided after the last vote. */
  readonly decision: Exclude<Verdict, "open">;
  /** Votes by class of the selection; empty where the class was given. */
  readonly counts0: readonly number[];
  /** Votes by class that the decision rests on. */
  readonly counts: readonly number[];
  /** Noisy samples that the decision rests on, selection included. */
  readonly samples: number;
}

/** The numbers of a sequential test at one radius. */
export interface AtRadiusSettings {
  readonly radius: number;
  readonly n0: number;
  readonly maxSamples: number;
  /** Votes asked for at first; the batch is shared with other inputs. */
  readonly firstLook: number;
}

/**
 * Asks for votes until the test decides. Every vote is looked at in the order of the samples, so the
 * result does not depend on how many are drawn at a time.
 *
 * @param label the class to certify; where missing it is guessed from n0 samples of their own
 */
export function* atRadiusProcedure(
  { radius, n0, maxSamples, firstLook }: AtRadiusSettings,
  test: SequentialTest,
  label?: number,
): Procedure<AtRadiusResult> {
  const selection = new VoteCounts();
  if (label === undefined)
    yield [{ stage: "selection", first: 0, count: n0, collector: selection }];
  const votes = new SequentialVotes(test, label ?? selection.top());
  for (let first = 0; votes.verdict === "open"; ) {
    const wanted = Math.max(firstLook, Math.ceil(first / 4));
    const count = Math.min(wanted, maxSamples - first);
    yield [{ stage: "estimation", first, count, collector: votes }];
    first += count;
  }
  const certified = votes.verdict === "certified";
  return {
    certified,
    prediction: certified ? votes.target : ABSTAIN,
    radius: certified ? radius : 0,
    decision: votes.verdict,
    counts0: selection.counts,
    counts: votes.counts,
    samples: (label === undefined ? n0 : 0) + votes.seen,
  };
}

/** Looks at each vote; those after the decision are not counted. */
class SequentialVotes implements Collector {
  verdict: Verdict = "open";
  counts: number[] = [];
  seen = 0;

  constructor(
    private readonly test: SequentialTest,
    readonly target: number,
  ) {}

  add({ classes, numClasses }: Outputs, from: number, to: number): void {
    if (this.counts.length === 0) {
      checkLabel(this.target, numClasses);
      this.counts = new Array(numClasses).fill(0);
    }
    for (let row = from; row < to && this.verdict === "open"; row++) {
      this.counts[classes[row]!]!++;
      this.seen++;
      this.verdict = this.test.verdict(this.counts[this.target]!, this.seen);
    }
  }
}

/** Throws for a class that the classifier does not have: no vote could ever be for it. */
export function checkLabel(label: number, numClasses: number): void {
  if (label < numClasses) return;
  throw new DmaeError(
    "argument",
    `certifyAtRadius: label must be one of the classifier's ${numClasses} classes, 0 … ${numClasses - 1}, got ${label}`,
    { label, numClasses },
  );
}

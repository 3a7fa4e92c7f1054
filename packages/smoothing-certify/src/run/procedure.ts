import { DmaeError } from "@dmae/core";
import type { Outputs } from "../classifier/outputs.ts";
import type { NoiseStage } from "../noise/noise-source.ts";
import { argMax } from "../statistics/arg-max.ts";

/** Takes in what the classifier said about the samples of a draw, in the order of the samples. */
export interface Collector {
  /** Rows `from … to - 1` of `outputs` are the next samples. */
  add(outputs: Outputs, from: number, to: number): void;
}

/** Samples that a procedure asks for. */
export interface Draw {
  /** What they are for. */
  readonly stage: NoiseStage;
  /** Index of the first within its stage. */
  readonly first: number;
  /** How many. */
  readonly count: number;
  /** Where the answers go. */
  readonly collector: Collector;
}

/**
 * A statistical procedure on one input: it asks for draws, is continued once all of them are
 * collected, and returns its result. It knows nothing of images, batches or models.
 */
export type Procedure<R> = Generator<readonly Draw[], R, void>;

/** Counts the votes for each class. */
export class VoteCounts implements Collector {
  /** Votes by class; grows to the number of classes with the first answer. */
  counts: number[] = [];

  /** @inheritdoc */
  add({ classes, numClasses }: Outputs, from: number, to: number): void {
    if (this.counts.length === 0) this.counts = new Array(numClasses).fill(0);
    if (this.counts.length !== numClasses)
      throw new DmaeError(
        "classifier",
        `the classifier returned ${numClasses} logits a row after ${this.counts.length}`,
      );
    for (let row = from; row < to; row++) this.counts[classes[row]!]!++;
  }

  /** The class with most votes, the first of several. */
  top(): number {
    return argMax(this.counts);
  }
}

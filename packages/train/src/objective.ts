import type { HostTensors, Key } from "@dmae/core";
import type { NoisyBatch } from "./noise.ts";
import type { RowGroups } from "./rank-rows.ts";
import type { LossFunction } from "./train-step.ts";

/** Where a micro-batch stands in a run, and the key that its draws follow from. */
export interface StepPosition {
  /** The run's key. */
  readonly key: Key;
  /** Micro-batch in the whole run, from 0. */
  readonly step: number;
  /** Epoch, from 0. */
  readonly epoch: number;
}

/**
 * What a run minimises: a pure loss, and the inputs of that loss. The loss draws nothing and reads nothing; the host
 * prepares every image, target and random draw in `inputs`. So the step compiles, resumes exactly and can be replayed.
 *
 * @example
 * const squared: Objective = {
 *   loss: (params, { x, y }) => ({ loss: tf.mean(tf.squaredDifference(linear(x!, params.weight!, params.bias!), y!)) }),
 *   inputs: (batch) => ({ x: imagesOf(batch), y: labelsOf(batch) }),
 * };
 */
export interface Objective {
  /** The loss of one micro-batch: a mean over its rows, with further metrics and new running statistics. */
  readonly loss: LossFunction;
  /** The batch that `loss` reads. Draws must depend on the position and the images' indices alone. */
  inputs(batch: NoisyBatch, position: StepPosition): HostTensors | Promise<HostTensors>;
  /** Noisy copies of each image that a data loader draws ahead as `batch.noise`; default 1. */
  readonly copies?: number;
  /** Which rows of a micro-batch several ranks must not part; default: each row stands alone. */
  readonly groups?: RowGroups;
}

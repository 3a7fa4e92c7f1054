import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type StepFunction, type Tensors, valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { clipByGlobalNorm } from "./clip.ts";
import { inOrderOf, prefixed, scalarTensors, unprefixed } from "./names.ts";
import type { Optimizer } from "./optimizer.ts";
import { trainingPosition } from "./schedule.ts";

/** What a loss function returns. */
export interface LossResult {
  /** The scalar to minimise. */
  readonly loss: tf.Tensor;
  /** Further scalars to log. */
  readonly metrics?: Tensors;
  /** New values of parameters that are not trained (running statistics). */
  readonly updates?: Tensors;
}

/** A loss as a pure function of parameters and one batch; it draws nothing and reads nothing. */
export type LossFunction = (params: Tensors, batch: Tensors) => LossResult;

/** Options of {@link createTrainStep}. */
export interface TrainStepOptions {
  /** The loss of one (micro-)batch: a mean over its rows. */
  readonly loss: LossFunction;
  /** The optimizer. */
  readonly optimizer: Optimizer;
  /** Names of the parameters to train; the others stay as they are. Default: all. */
  readonly trainable?: readonly string[] | undefined;
  /** Learning rate by fractional epoch, e.g. `cosineSchedule(…)`. */
  readonly schedule: (epoch: number) => number;
  /** Micro-batches in an epoch. */
  readonly stepsPerEpoch: number;
  /** Micro-batches whose gradients are averaged for one update; default 1. */
  readonly accumulate?: number | undefined;
  /**
   * Added to the number of updates that the optimizer counts; default 0. The count of an optimizer state that was
   * restored from another run whose schedule begins anew. Negative where a run is begun later than at step 0.
   */
  readonly updateOffset?: number | undefined;
  /** Clips the global l2 norm of the averaged gradients; default: no clipping. Adds the metric `gradientNorm`. */
  readonly clipNorm?: number | undefined;
  /** Keeps an exponential moving average of the trained parameters and `buffers` with this decay under `ema.<name>`. */
  readonly emaDecay?: number | undefined;
  /** Names of the parameters that the loss gives new values of (`updates`); with `emaDecay` they must be given. */
  readonly buffers?: readonly string[] | undefined;
}

/**
 * A training step in two parts, for several ranks: each computes the gradients of its rows, and when they are summed,
 * every rank makes the same update.
 */
export interface SplitStep {
  /** Gradients of the rows of one rank, weighted with `scalars.share`; returns `gradients.*` and new buffers. */
  readonly gradients: StepFunction;
  /** The update that `gradients.*` of the state make; only for the last micro-batch of a group. */
  readonly update: StepFunction;
  /** Names of the parameters that the loss gives new values of; known once `gradients` has run or was traced. */
  readonly buffers: ReadonlySet<string>;
  /** A state with zeros for gradients that it does not have. */
  withGradients(state: HostTensors): HostTensors;
  /** The scalars of micro-batch `step` for both parts; `update` is null where it is not the last of its group. */
  inputs(step: number): { readonly gradients: HostTensors; readonly update: HostTensors | null };
}

/** A training step with its state and its inputs from the host. */
export interface TrainStep {
  /** The pure step; its state is that of `initState`, its batch the loss's batch and `inputs(step)`. */
  readonly step: StepFunction;
  /**
   * Initial state: `params.*`, `optimizer.*`, with accumulation `gradients.*`, with a moving average `ema.*`.
   *
   * @param slots optimizer state to begin with (see `updateOffset`); zeros if left out
   */
  initState(params: HostTensors, slots?: HostTensors): HostTensors;
  /** The scalars of micro-batch `step` (learning rate, bias corrections), named `scalars.*`. */
  inputs(step: number): HostTensors;
  /** The learning rate of micro-batch `step`. */
  learningRate(step: number): number;
  /** The same step in two parts. */
  readonly split: SplitStep;
}

/**
 * Builds one pure training step from a loss and an optimizer: gradients, accumulation, clipping, update.
 *
 * With `accumulate > 1` the averaged gradients live in the state, and the scalars of every micro-batch but
 * the last of a group make the update the identity; so one program serves all micro-batches, eager or
 * compiled. Learning rate and groups follow the official loops, see {@link trainingPosition}.
 *
 * @example
 * const train = createTrainStep({ loss, optimizer: adamw(), schedule, stepsPerEpoch: 100 });
 * const prepared = await executor.prepareStep(train.step, { state: train.initState(params), batch: specs });
 * await prepared({ ...batch, ...train.inputs(0) });
 */
export function createTrainStep(options: TrainStepOptions): TrainStep {
  checkOptions("createTrainStep", options, {
    loss: true,
    optimizer: true,
    trainable: true,
    schedule: true,
    stepsPerEpoch: true,
    accumulate: true,
    clipNorm: true,
    updateOffset: true,
    emaDecay: true,
    buffers: "list",
  });
  const { optimizer, trainable, schedule, stepsPerEpoch, accumulate = 1, clipNorm } = options;
  const { emaDecay, buffers: declared = [], updateOffset = 0 } = options;
  checkRanges(options);
  const isTrained = trainable === undefined ? () => true : inSet(trainable);
  const isBuffer = inSet(declared);
  const position = (step: number) => trainingPosition(step, stepsPerEpoch, accumulate);

  const buffers = new Set<string>();

  const gradients: StepFunction = (state, batch) => {
    const params = unprefixed("params.", state);
    const scalars = unprefixed("scalars.", batch);
    const trained = filterNames(params, isTrained);
    const fixed = filterNames(params, (name) => !isTrained(name));
    const result = lossAndGradients(options.loss, trained, fixed, batch, scalars.share);
    for (const name of Object.keys(result.updates)) buffers.add(name);
    if (emaDecay !== undefined) requireDeclared(result.updates, isBuffer);
    const sums =
      accumulate > 1
        ? averaged(result.gradients, unprefixed("gradients.", state), scalars, accumulate)
        : result.gradients;
    return {
      state: { ...prefixed("gradients.", sums), ...prefixed("params.", result.updates) },
      metrics: { loss: result.loss, ...result.metrics },
    };
  };

  const update: StepFunction = (state, batch) => {
    const params = unprefixed("params.", state);
    const trained = filterNames(params, isTrained);
    const scalars = unprefixed("scalars.", batch);
    const metrics: Tensors = {};
    let sums = unprefixed("gradients.", state);
    if (clipNorm !== undefined) {
      const clipped = clipByGlobalNorm(sums, clipNorm);
      sums = clipped.gradients;
      metrics.gradientNorm = clipped.norm;
    }
    const slots = unprefixed("optimizer.", state);
    const updated = optimizer.update(sums, slots, trained, unprefixed("optimizer.", scalars));
    const next: Tensors = {
      ...prefixed("params.", updated.params),
      ...prefixed("optimizer.", updated.state),
    };
    if (emaDecay === undefined) return { state: next, metrics };
    const ema = unprefixed("ema.", state);
    const values = { ...updated.params, ...filterNames(params, isBuffer) };
    for (const [name, value] of Object.entries(values))
      next[`ema.${name}`] = tf.add(
        ema[name]!,
        tf.mul(tf.sub(value, ema[name]!), scalars.emaWeight!),
      );
    return { state: next, metrics };
  };

  const step: StepFunction = (state, batch) => {
    const first = gradients(state, batch);
    const second = update({ ...state, ...first.state }, batch);
    const next = { ...state, ...second.state, ...first.state };
    return { state: inOrder(state, next), metrics: { ...first.metrics, ...second.metrics } };
  };

  const whole = {
    step,
    initState(params: HostTensors, slots?: HostTensors) {
      const trained = filterNames(params, isTrained);
      requireNames("trainable", params, trainable ?? []);
      requireNames("buffers", params, declared);
      const fresh = optimizer.init(trained);
      return {
        ...prefixed("params.", params),
        ...prefixed("optimizer.", slots ? inOrderOf(fresh, slots, slotNames) : fresh),
        ...(accumulate > 1 ? prefixed("gradients.", zerosLike(trained)) : {}),
        ...(emaDecay === undefined
          ? {}
          : prefixed("ema.", { ...trained, ...filterNames(params, isBuffer) })),
      };
    },
    inputs(at: number) {
      const { update, first, last, schedulePosition } = position(at);
      if (last && update + updateOffset < 0)
        throw new DmaeError(
          "argument",
          `createTrainStep: updateOffset must leave no update a negative count, got ${updateOffset} for update ${update}`,
          { updateOffset, update },
        );
      const slots = last
        ? optimizer.scalars(update + updateOffset, schedule(schedulePosition))
        : optimizer.idle();
      const scalars: Record<string, number> = {};
      for (const [name, value] of Object.entries(slots)) scalars[`optimizer.${name}`] = value;
      if (accumulate > 1) scalars.keepGradients = first ? 0 : 1;
      if (emaDecay !== undefined) scalars.emaWeight = last ? 1 - emaDecay : 0;
      return prefixed("scalars.", scalarTensors(scalars));
    },
    learningRate: (at: number) => schedule(position(at).schedulePosition),
  };
  const isLast = (at: number) => position(at).last;
  const parts = { gradients, update, buffers };
  return { ...whole, split: splitStep(parts, isTrained, isLast, whole.inputs) };
}

const slotNames = "initState: the optimizer state must have the names and shapes of the parameters";

/** Names of the scalars that the gradients read; the update reads the others. */
const forGradients = inSet(["scalars.keepGradients"]);

/** The two parts of a step, with their inputs. */
function splitStep(
  parts: Pick<SplitStep, "gradients" | "update" | "buffers">,
  isTrained: (name: string) => boolean,
  isLast: (step: number) => boolean,
  inputs: TrainStep["inputs"],
): SplitStep {
  return {
    ...parts,
    withGradients(state) {
      const trained = filterNames(unprefixed("params.", state), isTrained);
      return { ...prefixed("gradients.", zerosLike(trained)), ...state };
    },
    inputs(at) {
      const scalars = inputs(at);
      return {
        gradients: filterNames(scalars, forGradients),
        update: isLast(at) ? filterNames(scalars, (name) => !forGradients(name)) : null,
      };
    },
  };
}

/** @param share weight of these rows in the gradients; left out where they are all there are */
function lossAndGradients(
  loss: LossFunction,
  trained: Tensors,
  fixed: Tensors,
  batch: Tensors,
  share?: tf.Tensor,
) {
  const {
    loss: value,
    aux = {},
    gradients,
  } = valueAndGradients((params) => {
    const { loss: mean, metrics = {}, updates = {} } = loss({ ...fixed, ...params }, batch);
    return {
      loss: (share ? tf.mul(mean, share) : mean) as tf.Scalar,
      aux: {
        ...prefixed("metrics.", metrics),
        ...prefixed("updates.", updates),
        ...(share ? { loss: mean } : {}),
      },
    };
  }, trained);
  return {
    loss: aux.loss ?? value,
    gradients,
    metrics: unprefixed("metrics.", aux),
    updates: unprefixed("updates.", aux),
  };
}

function averaged(
  gradients: Tensors,
  sums: Tensors,
  scalars: Tensors,
  accumulate: number,
): Tensors {
  const next: Tensors = {};
  for (const [name, gradient] of Object.entries(gradients))
    next[name] = tf.add(
      tf.mul(sums[name]!, scalars.keepGradients!),
      tf.mul(gradient, 1 / accumulate),
    );
  return next;
}

function inOrder(model: Tensors, tensors: Tensors): Tensors {
  const ordered: Tensors = {};
  for (const name of Object.keys(model)) ordered[name] = tensors[name]!;
  return ordered;
}

function inSet(names: readonly string[]): (name: string) => boolean {
  const set = new Set(names);
  return (name) => set.has(name);
}

function filterNames<T>(record: Readonly<Record<string, T>>, keep: (name: string) => boolean) {
  const kept: Record<string, T> = {};
  for (const [name, value] of Object.entries(record)) if (keep(name)) kept[name] = value;
  return kept;
}

function zerosLike(tensors: HostTensors): HostTensors {
  const zeros: Record<string, HostTensor> = {};
  for (const [name, { shape, data }] of Object.entries(tensors))
    zeros[name] = { dtype: "float32", shape, data: new Float32Array(data.length) };
  return zeros;
}

function requireNames(option: string, params: HostTensors, names: readonly string[]): void {
  const unknown = names.filter((name) => !(name in params));
  if (unknown.length > 0)
    throw new DmaeError(
      "argument",
      `createTrainStep: ${option} must name parameters, got ${unknown.join(", ")}`,
      { unknown },
    );
}

/** Averaged weights need the running statistics that belong to them. */
function requireDeclared(updates: Tensors, isBuffer: (name: string) => boolean): void {
  const missing = Object.keys(updates).filter((name) => !isBuffer(name));
  if (missing.length > 0)
    throw new DmaeError(
      "argument",
      `createTrainStep: with emaDecay, buffers must name what the loss updates, got none of ${missing.join(", ")}`,
      { missing },
    );
}

function checkRanges(options: TrainStepOptions) {
  const { accumulate = 1, stepsPerEpoch, updateOffset = 0, clipNorm, emaDecay } = options;
  const wrong = (rule: string, value: unknown) => {
    throw new DmaeError("argument", `createTrainStep: ${rule}, got ${value}`, { value });
  };
  if (!Number.isInteger(stepsPerEpoch) || stepsPerEpoch < 1)
    wrong("stepsPerEpoch must be a positive integer", stepsPerEpoch);
  if (!Number.isInteger(accumulate) || accumulate < 1)
    wrong("accumulate must be a positive integer", accumulate);
  if (accumulate > stepsPerEpoch)
    wrong(`accumulate must not exceed the ${stepsPerEpoch} steps of an epoch`, accumulate);
  if (!Number.isSafeInteger(updateOffset)) wrong("updateOffset must be an integer", updateOffset);
  if (clipNorm !== undefined && !(clipNorm > 0)) wrong("clipNorm must be positive", clipNorm);
  if (emaDecay !== undefined && !(emaDecay >= 0 && emaDecay < 1))
    wrong("emaDecay must lie in [0, 1)", emaDecay);
}

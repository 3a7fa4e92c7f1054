import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { Tensors } from "@dmae/nn";
import type * as tf from "@tensorflow/tfjs-core";

/** How one parameter is trained. */
export interface ParameterOptions {
  /** Factor on the learning rate of this parameter (layer-wise decay). */
  readonly learningRateScale: number;
  /** Weight decay of this parameter, 0 for none. */
  readonly weightDecay: number;
}

/** The options of every parameter that is trained, by name; a parameter left out is frozen. */
export type ParameterGroups = Readonly<Record<string, ParameterOptions>>;

/**
 * An optimizer as a pair of pure functions. What depends on the step number is computed on the host in
 * float64 by `scalars` and enters `update` as scalar tensors, so that an update can be compiled.
 */
export interface Optimizer {
  /** The state before the first update: zeros, named `<slot>.<parameter>` (`exp_avg.head.weight`). */
  init(params: HostTensors): HostTensors;
  /**
   * One update. Disposes of nothing.
   *
   * @param gradients one for each parameter that `init` saw
   * @param state the tensors that `init` described
   * @param params the parameters; those without a gradient are handed on as they are
   * @param scalars rank-0 tensors of the values of {@link Optimizer.scalars} or {@link Optimizer.idle}
   */
  update(
    gradients: Tensors,
    state: Tensors,
    params: Tensors,
    scalars: Tensors,
  ): { params: Tensors; state: Tensors };
  /**
   * The scalars of one update.
   *
   * @param step number of updates made before this one, from 0
   * @param learningRate the learning rate of this update, before the scale of each parameter
   */
  scalars(step: number, learningRate: number): Record<string, number>;
  /** Scalars under which `update` changes neither parameters nor state (finite gradients given). */
  idle(): Record<string, number>;
}

/** Zeros named `<slot>.<parameter>`. */
export function zeroSlots(params: HostTensors, slots: readonly string[]): HostTensors {
  const state: Record<string, HostTensor> = {};
  for (const slot of slots)
    for (const [name, { data, shape }] of Object.entries(params))
      state[`${slot}.${name}`] = {
        dtype: "float32",
        shape,
        data: new Float32Array(data.length),
      };
  return state;
}

/** The tensors of one parameter that an update makes. */
interface Updated {
  readonly param: tf.Tensor;
  /** Its state, by slot. */
  readonly slots: Tensors;
}

/** The `update` of an optimizer from that of one parameter; parameters without a gradient are handed on as they are. */
export function updateEach(
  { groups, weightDecay }: { readonly groups: ParameterGroups | undefined; weightDecay: number },
  rule: (
    param: tf.Tensor,
    gradient: tf.Tensor,
    slot: (name: string) => tf.Tensor,
    scalars: Tensors,
    options: ParameterOptions,
  ) => Updated,
): Optimizer["update"] {
  return (gradients, state, params, scalars) => {
    const next: Tensors = {};
    const slots: Tensors = {};
    for (const [name, param] of Object.entries(params)) {
      const gradient = gradients[name];
      next[name] = param;
      if (gradient === undefined) continue;
      const slot = (kind: string) => state[`${kind}.${name}`]!;
      const options = parameterOptions(groups, name, weightDecay);
      const updated = rule(param, gradient, slot, scalars, options);
      next[name] = updated.param;
      for (const [kind, tensor] of Object.entries(updated.slots)) slots[`${kind}.${name}`] = tensor;
    }
    return { params: next, state: slots };
  };
}

/** The options of parameter `name`: from `groups` where given, else `weightDecay` and scale 1. */
function parameterOptions(
  groups: ParameterGroups | undefined,
  name: string,
  weightDecay: number,
): ParameterOptions {
  if (groups === undefined) return { learningRateScale: 1, weightDecay };
  const options = groups[name];
  if (options === undefined)
    throw new DmaeError(
      "argument",
      `optimizer: groups must name every parameter that has a gradient, got none for ${name}`,
      { name },
    );
  return options;
}

/** Throws unless all weight decays are numbers, 0 or more, and all scales finite. */
export function requireDecay(
  where: string,
  weightDecay: number,
  groups: ParameterGroups | undefined,
): void {
  const high = Number.POSITIVE_INFINITY;
  requireRange(`${where}: weightDecay`, weightDecay, 0, high);
  for (const [name, options] of Object.entries(groups ?? {})) {
    requireRange(`${where}: weightDecay of ${name}`, options.weightDecay, 0, high);
    if (!Number.isFinite(options.learningRateScale))
      throw new DmaeError(
        "argument",
        `${where}: learningRateScale of ${name} must be a finite number, got ${options.learningRateScale}`,
        { name },
      );
  }
}

/** Throws unless `value` lies in `[low, high)`. */
export function requireRange(where: string, value: number, low: number, high: number): void {
  if (!(typeof value === "number" && value >= low && value < high))
    throw new DmaeError("argument", `${where} must lie in [${low}, ${high}), got ${value}`, {
      value,
    });
}

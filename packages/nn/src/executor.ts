import type { DType, HostTensor, HostTensors } from "@dmae/core";
import type { Tensors } from "./params.ts";

/** Shape and element type of one input. */
export interface TensorSpec {
  /** Dimensions, all known. */
  readonly shape: readonly number[];
  /** Element type; float32 where left out. */
  readonly dtype?: DType;
}

/** Named input specs. */
export type TensorSpecs = Readonly<Record<string, TensorSpec>>;

/**
 * One pure training step. It draws nothing and reads no host value: noise, masks, drop-path draws and
 * the learning rate arrive in `batch`. It disposes of nothing; the executor owns every tensor.
 */
export type StepFunction = (
  state: Tensors,
  batch: Tensors,
) => {
  /** The next state: the names, shapes and dtypes of `state`. */
  state: Tensors;
  /** Scalars to log: tensors of one number each. */
  metrics: Tensors;
};

/** A pure function of named tensors. */
export type TensorFunction = (inputs: Tensors) => Tensors;

/** A step made ready, with its state kept inside. */
export interface PreparedStep {
  /** Runs one step and returns its metrics as numbers. */
  run(batch: HostTensors): Promise<Record<string, number>>;
  /** A copy of the state. */
  state(): Promise<Record<string, HostTensor>>;
  /** Frees the state and the program. */
  dispose(): void;
}

/** A function made ready; `constants` stay inside. */
export interface PreparedFunction {
  /** Runs the function on `inputs`. */
  run(inputs: HostTensors): Promise<Record<string, HostTensor>>;
  /** Frees the constants and the program. */
  dispose(): void;
}

/**
 * Runs pure functions: eagerly on the current TensorFlow.js backend ({@link eagerExecutor}) or compiled
 * to one graph (`compiledExecutor` of `@dmae/compile`). Same numbers either way, to float32 rounding.
 */
export interface Executor {
  /** A name for logs: `eager:cpu`, `compiled:cpu`. */
  readonly name: string;
  /** Makes `step` ready with an initial state; `batch` gives the specs of every later batch. */
  prepareStep(
    step: StepFunction,
    init: { readonly state: HostTensors; readonly batch: TensorSpecs },
  ): Promise<PreparedStep>;
  /** Makes `fn` ready: `fn({...constants, ...inputs})`. */
  prepareFunction(
    fn: TensorFunction,
    init: { readonly constants: HostTensors; readonly inputs: TensorSpecs },
  ): Promise<PreparedFunction>;
}

import type { HostTensor } from "@dmae/core";
import type * as tf from "@tensorflow/tfjs-core";
import type {
  HostResult,
  InFormOf,
  InputSpecs,
  InputValue,
  ResultForm,
  SpecOrShape,
} from "./programs/nested.ts";
import type { Program } from "./programs/program.ts";

/**
 * One pure training step. It draws nothing and reads no host value: noise, masks, drop-path draws and
 * the learning rate arrive in `batch`. It disposes of nothing; the executor owns every tensor.
 */
export type StepFunction<
  State extends string = string,
  Batch extends string = string,
  Metric extends string = string,
> = (
  state: Record<State, tf.Tensor>,
  batch: Record<Batch, tf.Tensor>,
) => {
  /** The next state: the names, shapes and dtypes of `state`. */
  state: Record<string, tf.Tensor>;
  /** Scalars to log: tensors of one number each. */
  metrics: Record<Metric, tf.Tensor>;
};

/** What a step starts with: its state, and the specs of every batch. */
export interface StepInit<State extends string = string, Batch extends string = string> {
  /** The initial state. */
  readonly state: Readonly<Record<State, HostTensor>>;
  /** Shapes or specs of every batch. */
  readonly batch: Readonly<Record<Batch, SpecOrShape>>;
  /** What `scaling` of an earlier step gave, so that the loss scale goes on from there; other executors ignore it. */
  readonly scaling?: readonly number[] | undefined;
}

/** A step made ready, with its state kept inside: call it with a batch. */
export interface PreparedStep<
  State extends string = string,
  Batch extends string = string,
  Metric extends string = string,
> {
  /** Runs one step and returns its metrics as numbers; calls queue up. */
  (batch: Readonly<Record<Batch, InputValue>>): Promise<Record<Metric, number>>;
  /**
   * Brings a batch to the memory of the card while a step runs: the next call, with the same object, uses its values as they are
   * now. Only of steps that run on a card.
   */
  bring?(batch: Readonly<Record<Batch, InputValue>>): void;
  /** A copy of the state. */
  state(): Promise<Record<State, HostTensor>>;
  /** The loss scale, and how many steps it has been good for; only of steps that scale their loss (float16). */
  scaling?(): Promise<readonly number[]>;
  /** Frees the state and the program. */
  dispose(): void;
}

/** Programs over one state, for {@link Executor.prepareSteps}. */
export interface StepsInit {
  /** The initial state. */
  readonly state: Readonly<Record<string, HostTensor>>;
  /** Steps by name. Each returns the part of the state that it changes; the rest stays. */
  readonly steps: Readonly<
    Record<
      string,
      {
        readonly step: StepFunction;
        /** Shapes or specs of its batches. */
        readonly batch: Readonly<Record<string, SpecOrShape>>;
      }
    >
  >;
  /** Names of the float32 entries that `exchange` hands out. */
  readonly exchanged: readonly string[];
}

/** Steps made ready over one state that is kept inside. */
export interface PreparedSteps {
  /** Runs one of the steps and returns its metrics as numbers; calls queue up. */
  run(name: string, batch: Readonly<Record<string, InputValue>>): Promise<Record<string, number>>;
  /**
   * Gives `change` the exchanged entries in host memory, entries that lie next to each other as one array. What `change`
   * writes into the arrays is the state of the next run; the arrays must not be used after it returns.
   */
  exchange(change: (values: readonly Float32Array[]) => Promise<void>): Promise<void>;
  /** A copy of the state. */
  state(): Promise<Record<string, HostTensor>>;
  /** Frees the state and the programs. */
  dispose(): void;
}

/** A program made ready, its constants kept inside: call it with the inputs. */
export interface PreparedFunction<
  Specs = Record<string, SpecOrShape>,
  Result = Record<string, tf.Tensor>,
> {
  /**
   * Runs it on values in host memory: plain arrays, typed arrays or host tensors.
   *
   * @throws DmaeError "argument" for unknown or missing inputs and after `dispose`, "shape" for other
   * shapes, dtypes or lengths than the specs say, "numeric" for NaN
   */
  (inputs: InFormOf<Specs, InputValue>): Promise<HostResult<Result>>;
  /** Frees the program; results that were returned stay. */
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
  prepareStep<State extends string, Batch extends string, Metric extends string>(
    step: StepFunction<State, Batch, Metric>,
    init: StepInit<State, Batch>,
  ): Promise<PreparedStep<State, Batch, Metric>>;
  /**
   * Makes several steps over one state ready, between which parts of it can be exchanged with other processes. Optional:
   * training on several ranks needs it.
   */
  prepareSteps?(init: StepsInit): Promise<PreparedSteps>;
  /** Makes a program ready. */
  prepareFunction<Specs extends InputSpecs, Result extends ResultForm<Result>>(
    program: Program<Specs, Result>,
  ): Promise<PreparedFunction<Specs, Result>>;
}

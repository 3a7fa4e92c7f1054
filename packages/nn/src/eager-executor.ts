import { DmaeError, type HostTensors } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { checkInputNames } from "./check-input-names.ts";
import { checkStepResult } from "./check-step-result.ts";
import type { Executor, PreparedFunction, PreparedStep, TensorSpecs } from "./executor.ts";
import { disposeTensors, type Tensors, toHost, toTensors } from "./params.ts";

/**
 * Runs steps and functions op by op on the current TensorFlow.js backend ({@link selectBackend}).
 *
 * @example
 * ```ts
 * const prepared = await eagerExecutor().prepareStep(step, { state, batch: { x: { shape: [8, 2] } } });
 * const { loss } = await prepared.run({ x });
 * ```
 */
export function eagerExecutor(): Executor {
  return {
    get name() {
      return `eager:${tf.getBackend()}`;
    },
    async prepareStep(step, { state, batch }) {
      return eagerStep(step, toTensors(state), batch);
    },
    async prepareFunction(fn, { constants, inputs }) {
      const both = Object.keys(inputs).find((name) => Object.hasOwn(constants, name));
      if (both !== undefined)
        throw new DmaeError(
          "argument",
          `prepareFunction: ${both} is both an input and one of the constants; leave it out of one of the two`,
          { name: both },
        );
      return eagerFunction(fn, toTensors(constants), inputs);
    },
  };
}

function eagerStep(
  step: Parameters<Executor["prepareStep"]>[0],
  initial: Tensors,
  specs: TensorSpecs,
): PreparedStep {
  let state: Tensors | undefined = initial;
  const current = () => state ?? disposed();
  return {
    async run(batch) {
      const previous = current();
      const inputs = checkedTensors("run", batch, specs);
      const result = guarded(inputs, () =>
        checkStepResult("run", previous, step(previous, inputs)),
      );
      state = result.state;
      const carried = new Set(Object.values(state));
      const metrics = await toHost(result.metrics); // may show the previous state or the batch
      disposeExcept(previous, carried);
      disposeExcept(inputs, carried);
      disposeExcept(result.metrics, carried);
      return Object.fromEntries(
        Object.entries(metrics).map(([name, { data }]) => [name, Number(data[0])]),
      );
    },
    state: () => toHost(current()),
    dispose() {
      if (state) disposeTensors(state);
      state = undefined;
    },
  };
}

function eagerFunction(
  fn: Parameters<Executor["prepareFunction"]>[0],
  initial: Tensors,
  specs: TensorSpecs,
): PreparedFunction {
  let constants: Tensors | undefined = initial;
  return {
    async run(values) {
      const fixed = constants ?? disposed();
      const inputs = checkedTensors("run", values, specs);
      const outputs = guarded(inputs, () => fn({ ...fixed, ...inputs }));
      const host = await toHost(outputs);
      disposeTensors(inputs);
      disposeExcept(outputs, new Set(Object.values(fixed)));
      return host;
    },
    dispose() {
      if (constants) disposeTensors(constants);
      constants = undefined;
    },
  };
}

/** Runs `body` in a tidy; if it throws, the inputs are disposed of. */
function guarded<T extends tf.TensorContainer>(inputs: Tensors, body: () => T): T {
  try {
    return tf.tidy(body);
  } catch (error) {
    disposeTensors(inputs);
    throw error;
  }
}

function disposeExcept(tensors: Tensors, kept: ReadonlySet<tf.Tensor>): void {
  for (const tensor of Object.values(tensors)) if (!kept.has(tensor)) tensor.dispose();
}

function disposed(): never {
  throw new DmaeError("argument", "eagerExecutor: this program was disposed of; prepare it again");
}

/** The batch as tensors, after comparing names, shapes and dtypes with the specs given at preparation. */
function checkedTensors(caller: string, host: HostTensors, specs: TensorSpecs): Tensors {
  checkInputNames(caller, host, specs);
  for (const [name, { shape, dtype = "float32" }] of Object.entries(specs)) {
    const value = host[name]!;
    if (`${value.shape}` !== `${shape}` || value.dtype !== dtype)
      throw new DmaeError(
        "shape",
        `${caller}: ${name} must be ${dtype} [${shape}] as prepared, got ${value.dtype} [${value.shape}]`,
      );
  }
  return toTensors(host);
}

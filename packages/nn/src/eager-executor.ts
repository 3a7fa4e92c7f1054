import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import type {
  Executor,
  PreparedFunction,
  PreparedStep,
  PreparedSteps,
  StepFunction,
  StepsInit,
} from "./executor.ts";
import { disposeTensors, type Tensors, toHost, toTensors } from "./params.ts";
import { checkStepResult } from "./programs/check-step-result.ts";
import { hostInputs } from "./programs/host-inputs.ts";
import { lifetime } from "./programs/lifetime.ts";
import type { TensorSpecs } from "./programs/nested.ts";
import { type FlatProgram, flatProgram } from "./programs/program.ts";
import { checkedSpecs } from "./programs/specs.ts";

/**
 * Runs steps and functions op by op on the current TensorFlow.js backend ({@link selectBackend}).
 *
 * @example
 * ```ts
 * const step = await eagerExecutor().prepareStep(fn, { state, batch: { x: [8, 2] } });
 * const { loss } = await step({ x });
 * ```
 */
export function eagerExecutor(): Executor {
  const executor = {
    get name() {
      return `eager:${tf.getBackend()}`;
    },
    async prepareStep(step: StepFunction, init: { state: HostTensors; batch: TensorSpecs }) {
      const batch = checkedSpecs("prepareStep", "batch", init.batch);
      return eagerStep(step, toTensors(init.state), batch);
    },
    prepareSteps: async (init: StepsInit) => eagerSteps(init),
    async prepareFunction(program: Parameters<typeof flatProgram>[1]) {
      const flat = flatProgram("prepareFunction", program);
      return eagerFunction(flat, toTensors(flat.constants));
    },
  };
  return executor as unknown as Executor;
}

function eagerStep(step: StepFunction, initial: Tensors, specs: TensorSpecs): PreparedStep {
  const owned = eagerState(initial);
  return Object.assign((batch: unknown) => owned.run(step, specs, batch), {
    state: owned.state,
    dispose: owned.dispose,
  });
}

/** Steps over one state. */
function eagerSteps({ state, steps, exchanged }: StepsInit): PreparedSteps {
  const owned = eagerState(toTensors(state));
  const ready = Object.entries(steps).map(([name, { step, batch }]) => {
    const partial: StepFunction = (before, inputs) => {
      const result = step(before, inputs);
      return { ...result, state: { ...before, ...result.state } };
    };
    return [name, { step: partial, specs: checkedSpecs("prepareSteps", "batch", batch) }] as const;
  });
  const byName = new Map(ready);
  return {
    async run(name, batch) {
      const { step, specs } = byName.get(name)!;
      return owned.run(step, specs, batch);
    },
    exchange: (change) => owned.change(exchanged, change),
    state: owned.state,
    dispose: owned.dispose,
  };
}

/** A state on the backend, and the steps that change it one after another. */
function eagerState(initial: Tensors) {
  let state = initial;
  let busy: Promise<unknown> = Promise.resolve();
  const life = lifetime(() => disposeTensors(state), disposed);
  const runOnce = async (step: StepFunction, batch: HostTensors) => {
    const previous = state;
    const inputs = toTensors(batch);
    const result = tidyOrDispose(inputs, () =>
      checkStepResult("call", previous, step(previous, inputs)),
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
  };
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const result = busy.then(task);
    busy = result.catch(() => {});
    return result;
  };
  const changeOnce = async (
    names: readonly string[],
    change: (values: readonly Float32Array[]) => Promise<void>,
  ) => {
    const host = await toHost(Object.fromEntries(names.map((name) => [name, state[name]!])));
    await change(Object.values(host).map(({ data }) => data as Float32Array));
    const previous = Object.fromEntries(names.map((name) => [name, state[name]!]));
    state = { ...state, ...toTensors(host) };
    disposeTensors(previous);
  };
  return {
    run: (step: StepFunction, specs: TensorSpecs, batch: unknown) =>
      life.during(async () => {
        const values = hostInputs("call", batch, specs);
        return inTurn(() => runOnce(step, values));
      }),
    change: (...given: Parameters<typeof changeOnce>) =>
      life.during(() => inTurn(() => changeOnce(...given))),
    state: () =>
      life.during(async () => {
        await busy;
        return toHost(state);
      }),
    dispose: life.close,
  };
}

function eagerFunction(program: FlatProgram, constants: Tensors): PreparedFunction {
  const life = lifetime(() => disposeTensors(constants), disposed);
  const run = async (values: unknown) => {
    const inputs = toTensors(program.inputs(values));
    const outputs = tidyOrDispose(inputs, () => program.fn({ ...constants, ...inputs }));
    const host = await toHost(outputs);
    disposeTensors(inputs);
    disposeExcept(outputs, new Set([...Object.values(constants), ...Object.values(inputs)]));
    return program.result(host) as Record<string, HostTensor>;
  };
  return Object.assign((values: unknown) => life.during(() => run(values)), {
    dispose: life.close,
  });
}

/** Runs `body` in a tidy; if it throws, the inputs are disposed of. */
function tidyOrDispose<T extends tf.TensorContainer>(inputs: Tensors, body: () => T): T {
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

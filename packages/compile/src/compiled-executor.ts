import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type {
  Executor,
  PreparedFunction,
  PreparedStep,
  StepFunction,
  TensorSpecs,
  Tensors,
} from "@dmae/nn";
import { allocate, type OutputSpec, sizeOf } from "./graph.ts";
import {
  checkData,
  checkInputs,
  LoadedProgram,
  type PrecisionOptions,
  type ProgramStatistics,
  toHostTensor,
} from "./program.ts";
import { providerOf, type RuntimeOptions, type RuntimeTensor } from "./runtime.ts";
import { trace } from "./trace.ts";

/** Options of {@link compiledExecutor}. */
export interface CompiledExecutorOptions extends RuntimeOptions, PrecisionOptions {
  /** Called with facts about every program that is made. */
  readonly onCompiled?: (statistics: ProgramStatistics) => void;
}

/**
 * Runs steps and functions as one ONNX graph each: traced once when they are prepared, executed by
 * ONNX Runtime. The state of a step stays in buffers that change places every step.
 *
 * @example
 * ```ts
 * const prepared = await compiledExecutor().prepareStep(step, { state, batch: { x: { shape: [8, 2] } } });
 * const { loss } = await prepared.run({ x });
 * ```
 */
export function compiledExecutor(options: CompiledExecutorOptions = {}): Executor {
  return {
    name: `compiled:${providerOf(options)}`,
    prepareStep: (step, { state, batch }) => prepareStep(step, state, batch, options),
    async prepareFunction(fn, { constants, inputs }) {
      const makeTrace = () => trace("prepareFunction", fn, inputs, constants);
      const program = await LoadedProgram.load("prepareFunction", makeTrace, options);
      options.onCompiled?.(program.statistics);
      return preparedFunction(program, inputs);
    },
  };
}

/** Knows no constants: where the caller has dropped them, the runtime's copies are the only ones. */
const preparedFunction = (program: LoadedProgram, inputs: TensorSpecs): PreparedFunction => ({
  async run(values) {
    checkInputs("run", values, inputs);
    return runFunction(program, values);
  },
  dispose: () => program.dispose(),
});

/** Runs a program on host values. */
export async function runFunction(
  program: LoadedProgram,
  values: HostTensors,
): Promise<Record<string, HostTensor>> {
  const results = await program.run(wrap(program, values));
  const host: Record<string, HostTensor> = {};
  for (const [name, spec] of program.outputs) host[name] = await toHostTensor(results[name]!, spec);
  return host;
}

const STATE = "state:";
const BATCH = "batch:";
const NEXT = "next:";
const METRIC = "metric:";

const prefixed = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]));

const stripped = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );

function wrap(program: LoadedProgram, values: HostTensors): Record<string, RuntimeTensor> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, program.tensor(value)]),
  );
}

/** Traces a step as one function of state and batch. */
function traceStep(step: StepFunction, state: HostTensors, batch: TensorSpecs) {
  const whole = (inputs: Tensors): Tensors => {
    const before = stripped(STATE, inputs);
    const result = step(before, stripped(BATCH, inputs));
    checkState(before, result.state);
    return { ...prefixed(NEXT, result.state), ...prefixed(METRIC, result.metrics) };
  };
  return trace("prepareStep", whole, { ...prefixed(STATE, state), ...prefixed(BATCH, batch) });
}

function checkState(before: Tensors, after: Tensors): void {
  const describe = (tensor: Tensors[string] | undefined) =>
    tensor ? `${tensor.dtype} [${tensor.shape}]` : "absent";
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
    if (describe(before[name]) !== describe(after[name]))
      throw new DmaeError(
        "shape",
        `prepareStep: the step must return the state it was given; ${name} was ${describe(before[name])}, became ${describe(after[name])}`,
        { name },
      );
}

/** State in a buffer of our own, so that the caller's stays as it is. */
const copyOf = ({ dtype, shape, data }: HostTensor): HostTensor => ({
  dtype,
  shape: [...shape],
  data: data.slice(),
});

const zerosOf = ({ dtype, shape }: OutputSpec): HostTensor => ({
  dtype: dtype as HostTensor["dtype"],
  shape,
  data: allocate(dtype, sizeOf(shape)) as HostTensor["data"],
});

async function prepareStep(
  step: StepFunction,
  initial: HostTensors,
  batchSpecs: TensorSpecs,
  options: CompiledExecutorOptions,
): Promise<PreparedStep> {
  if (options.precision === "int8")
    throw new DmaeError(
      "unsupported",
      "prepareStep: training runs in float32; int8 is for functions (prepareFunction, compile)",
    );
  for (const [name, value] of Object.entries(initial)) checkData("prepareStep", name, value);
  const pairs = new Map(Object.keys(initial).map((name) => [STATE + name, NEXT + name]));
  const makeTrace = () => traceStep(step, initial, batchSpecs);
  const program = await LoadedProgram.load("prepareStep", makeTrace, options, pairs);
  options.onCompiled?.(program.statistics);
  return preparedStep(program, mapRecord(initial, copyOf), batchSpecs);
}

/** Owns `initial`, the first state, and does not know the one that the caller gave. */
function preparedStep(
  program: LoadedProgram,
  initial: Record<string, HostTensor>,
  batchSpecs: TensorSpecs,
): PreparedStep {
  const names = Object.keys(initial);
  const metrics = [...program.outputs.keys()].filter((name) => name.startsWith(METRIC));
  let current = initial;
  const inPlace = (name: string) => program.inPlace.has(STATE + name);
  // Made by the first run: whoever gave the state has mostly dropped it by then, so that its memory serves again.
  let spare: Record<string, HostTensor> | null = null;
  const makeSpare = () =>
    Object.fromEntries(
      Object.entries(current).map(([name, tensor]) => [
        name,
        inPlace(name) ? tensor : zerosOf(tensor),
      ]),
    );
  const metricTensors = wrap(
    program,
    Object.fromEntries(metrics.map((name) => [name, zerosOf(program.outputs.get(name)!)])),
  );
  let disposed = false;
  let busy: Promise<unknown> = Promise.resolve();
  const alive = () => {
    if (disposed)
      throw new DmaeError("argument", "run: this program was disposed of; prepare it again");
  };
  const runOnce = async (batch: HostTensors) => {
    alive();
    spare ??= makeSpare();
    const feeds = {
      ...wrap(program, prefixed(STATE, current)),
      ...wrap(program, prefixed(BATCH, batch)),
    };
    const into = { ...wrap(program, prefixed(NEXT, spare)), ...metricTensors };
    const results = await program.run(feeds, program.writesInto ? into : undefined);
    [current, spare] = [spare, current];
    if (!program.writesInto) await keepResults(results, names, current);
    return Object.fromEntries(
      metrics.map((name) => [
        name.slice(METRIC.length),
        Number((results[name]!.data as ArrayLike<number>)[0]),
      ]),
    );
  };
  return {
    run(batch) {
      try {
        alive();
        checkInputs("run", batch, batchSpecs);
      } catch (error) {
        return Promise.reject(error as Error);
      }
      const result = busy.then(() => runOnce(batch));
      busy = result.catch(() => {});
      return result;
    },
    async state() {
      await busy;
      alive();
      return mapRecord(current, copyOf);
    },
    dispose() {
      disposed = true;
      program.dispose();
      current = {};
      spare = null;
    },
  };
}

/** Takes over the values of outputs that have buffers of their own. */
async function keepResults(
  results: Record<string, RuntimeTensor>,
  names: readonly string[],
  into: Record<string, HostTensor>,
): Promise<void> {
  for (const name of names) {
    const result = results[NEXT + name]!;
    const data = (result.getData ? await result.getData() : result.data) as Float32Array;
    const target = into[name]!.data;
    if (data !== target && data.buffer !== target.buffer) target.set(data);
  }
}

const mapRecord = <A, B>(record: Readonly<Record<string, A>>, fn: (value: A) => B) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, fn(value)]));

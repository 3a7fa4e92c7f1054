import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { PreparedStep, StepFunction, StepInit, TensorSpecs, Tensors } from "@dmae/nn";
import {
  checkedSpecs,
  checkStepResult,
  checkTensors,
  describeValue,
  hostInputs,
  lifetime,
} from "@dmae/nn/executors";
import { allocate, type OutputSpec, sizeOf } from "./graph/graph.ts";
import { LoadedProgram, type PrecisionOptions, type ProgramStatistics } from "./runtime/program.ts";
import { checkRuntimeOptions, type RuntimeOptions, type RuntimeTensor } from "./runtime/runtime.ts";
import { type Trace, trace } from "./tracing/trace.ts";

/** A step whose state lives in the compiled program: call it with a batch. */
export interface CompiledStep<
  State extends string = string,
  Batch extends string = string,
  Metric extends string = string,
> extends PreparedStep<State, Batch, Metric> {
  /** Facts about the graph. */
  readonly statistics: ProgramStatistics;
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

/** Traces a step as one function of state and batch. */
function traceStep(
  caller: string,
  step: StepFunction,
  state: HostTensors,
  batch: TensorSpecs,
): Trace {
  const whole = (inputs: Tensors): Tensors => {
    const before = stripped(STATE, inputs);
    const result = step(before, stripped(BATCH, inputs));
    const { state, metrics } = checkStepResult(caller, before, result);
    return { ...prefixed(NEXT, state), ...prefixed(METRIC, metrics) };
  };
  return trace(caller, whole, { ...prefixed(STATE, state), ...prefixed(BATCH, batch) });
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

/** Traces and loads a step for `caller`, whose name errors carry. */
export async function prepareStep<
  State extends string,
  Batch extends string,
  Metric extends string,
>(
  caller: string,
  step: StepFunction<State, Batch, Metric>,
  init: StepInit<State, Batch>,
  options: RuntimeOptions & PrecisionOptions,
): Promise<CompiledStep<State, Batch, Metric>> {
  checkRuntimeOptions(caller, options);
  if (options.precision === "int8")
    throw new DmaeError(
      "unsupported",
      `${caller}: training runs in float32; int8 is for functions (prepareFunction, compile)`,
    );
  if (typeof step !== "function")
    throw new DmaeError(
      "argument",
      `${caller}: the step must be a function, got ${describeValue(step)}`,
    );
  const { state, batch: specs } = (init ?? {}) as StepInit;
  checkTensors(caller, "state", state);
  const batch = checkedSpecs(caller, "batch", specs);
  const pairs = new Map(Object.keys(state).map((name) => [STATE + name, NEXT + name]));
  const makeTrace = () => traceStep(caller, step as StepFunction, state, batch);
  const program = await LoadedProgram.load(caller, makeTrace, options, pairs);
  return preparedStep(program, mapRecord(state, copyOf), batch) as CompiledStep<
    State,
    Batch,
    Metric
  >;
}

/** Owns `initial`, the first state, and does not know the one that the caller gave. */
function preparedStep(
  program: LoadedProgram,
  initial: Record<string, HostTensor>,
  batchSpecs: TensorSpecs,
): CompiledStep {
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
  const metricTensors = program.tensors(
    Object.fromEntries(metrics.map((name) => [name, zerosOf(program.outputs.get(name)!)])),
  );
  let busy: Promise<unknown> = Promise.resolve();
  const refuse = () => {
    throw new DmaeError("argument", "call: this program was disposed of; prepare it again");
  };
  const life = lifetime(() => {
    program.dispose();
    current = {};
    spare = null;
  }, refuse);
  const runOnce = async (batch: Record<string, RuntimeTensor>) => {
    spare ??= makeSpare();
    const feeds = { ...program.tensors(prefixed(STATE, current)), ...prefixed(BATCH, batch) };
    const into = { ...program.tensors(prefixed(NEXT, spare)), ...metricTensors };
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
  const run = async (batch: unknown) => {
    const lent = program.copies(hostInputs("call", batch, batchSpecs));
    const result = busy.then(() => runOnce(lent));
    busy = result.catch(() => {});
    return result;
  };
  const readState = async () => {
    await busy;
    return mapRecord(current, copyOf);
  };
  return Object.assign((batch: unknown) => life.during(() => run(batch)), {
    statistics: program.statistics,
    state: () => life.during(readState),
    dispose: life.close,
  });
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

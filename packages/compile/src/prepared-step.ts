import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type {
  PreparedStep,
  PreparedSteps,
  StepFunction,
  StepInit,
  StepsInit,
  TensorSpecs,
  Tensors,
} from "@dmae/nn";
import {
  checkedSpecs,
  checkStepResult,
  checkTensors,
  describeValue,
  hostInputs,
} from "@dmae/nn/executors";
import { LoadedProgram, type PrecisionOptions, type ProgramStatistics } from "./runtime/program.ts";
import { checkRuntimeOptions, type RuntimeOptions, type RuntimeTensor } from "./runtime/runtime.ts";
import { scaledStep, withoutScaling, withScaling } from "./scaled-step.ts";
import { ownState, type StepState, zerosOf } from "./step-state.ts";
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

/** Traces a step as one function of state and batch; a step of several may return a part of the state. */
function traceStep(
  caller: string,
  step: StepFunction,
  state: HostTensors,
  batch: TensorSpecs,
  isPartial: boolean,
): Trace {
  const whole = (inputs: Tensors): Tensors => {
    const before = stripped(STATE, inputs);
    const result = step(before, stripped(BATCH, inputs));
    const kept = isPartial ? entries(before, Object.keys(result.state)) : before;
    const { state, metrics } = checkStepResult(caller, kept, result);
    return { ...prefixed(NEXT, state), ...prefixed(METRIC, metrics) };
  };
  return trace(caller, whole, { ...prefixed(STATE, state), ...prefixed(BATCH, batch) });
}

/** The entries of these names, those that are there. */
const entries = <T>(record: Readonly<Record<string, T>>, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (name in record ? [[name, record[name]!]] : [])));

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
      `${caller}: training runs in float32, bfloat16 or float16; int8 is for functions (prepareFunction, compile)`,
    );
  if (typeof step !== "function")
    throw new DmaeError(
      "argument",
      `${caller}: the step must be a function, got ${describeValue(step)}`,
    );
  const { state, batch: specs } = (init ?? {}) as StepInit;
  checkTensors(caller, "state", state);
  const batch = checkedSpecs(caller, "batch", specs);
  const scales = options.precision === "float16";
  const source = scales
    ? { step: scaledStep(step as StepFunction), state: withScaling(caller, state) }
    : { step, state };
  const program = await loadStep(caller, { ...source, batch, isPartial: false }, options);
  const owned = ownState(source.state);
  const run = stepOn(owned, program, batch);
  const { dispose } = owned;
  return Object.assign(run, {
    statistics: program.statistics,
    state: async () => withoutScaling(await owned.copy()),
    dispose,
  }) as CompiledStep<State, Batch, Metric>;
}

/** Traces and loads several steps over one state; see `Executor.prepareSteps` of `@dmae/nn`. */
export async function prepareSteps(
  caller: string,
  { state, steps, exchanged }: StepsInit,
  options: RuntimeOptions & PrecisionOptions,
  onCompiled?: (statistics: ProgramStatistics) => void,
): Promise<PreparedSteps> {
  checkTensors(caller, "state", state);
  if (options.precision === "float16")
    throw new DmaeError(
      "unsupported",
      `${caller}: several steps over one state cannot scale their loss, as float16 must; use precision bfloat16`,
    );
  const owned = ownState(state, exchanged);
  const runs = new Map<string, ReturnType<typeof stepOn>>();
  try {
    for (const [name, { step, batch: given }] of Object.entries(steps)) {
      const batch = checkedSpecs(caller, "batch", given);
      const program = await loadStep(caller, { step, state, batch, isPartial: true }, options);
      onCompiled?.(program.statistics);
      runs.set(name, stepOn(owned, program, batch));
    }
  } catch (error) {
    owned.dispose();
    throw error;
  }
  return {
    run: (name, batch) => runs.get(name)!(batch),
    exchange: owned.exchange,
    state: owned.copy,
    dispose: owned.dispose,
  };
}

interface StepSource {
  readonly step: unknown;
  readonly state: HostTensors;
  readonly batch: TensorSpecs;
  readonly isPartial: boolean;
}

function loadStep(
  caller: string,
  { step, state, batch, isPartial }: StepSource,
  options: RuntimeOptions & PrecisionOptions,
): Promise<LoadedProgram> {
  const pairs = new Map(Object.keys(state).map((name) => [STATE + name, NEXT + name]));
  const makeTrace = () => traceStep(caller, step as StepFunction, state, batch, isPartial);
  return LoadedProgram.load(caller, makeTrace, options, pairs);
}

/** Makes a program of a state callable with batches. */
function stepOn(owned: StepState, program: LoadedProgram, batchSpecs: TensorSpecs) {
  owned.holds(program);
  const outputs = [...program.outputs.keys()];
  const metrics = outputs.filter((name) => name.startsWith(METRIC));
  const written = outputs.flatMap((name) =>
    name.startsWith(NEXT) ? [name.slice(NEXT.length)] : [],
  );
  const moved = written.filter((name) => !program.inPlace.has(STATE + name));
  const metricTensors = program.tensors(
    Object.fromEntries(metrics.map((name) => [name, zerosOf(program.outputs.get(name)!)])),
  );
  // entries keep their memory, so that each is wrapped once
  const wrapped = new WeakMap<HostTensor, RuntimeTensor>();
  const wrap = (prefix: string, entries: HostTensors): Record<string, RuntimeTensor> => {
    const tensors: Record<string, RuntimeTensor> = {};
    for (const [name, entry] of Object.entries(entries)) {
      let tensor = wrapped.get(entry);
      if (tensor === undefined) wrapped.set(entry, (tensor = program.tensor(entry)));
      tensors[prefix + name] = tensor;
    }
    return tensors;
  };
  const runOnce = async (batch: Record<string, RuntimeTensor>) => {
    const { current } = owned;
    const next = { ...entries(current, written), ...owned.spares(moved) };
    const feeds = { ...wrap(STATE, current), ...prefixed(BATCH, batch) };
    const into = { ...wrap(NEXT, next), ...metricTensors };
    const results = await program.run(feeds, program.writesInto ? into : undefined);
    owned.swap(moved);
    if (!program.writesInto) await keepResults(results, written, owned.current);
    return Object.fromEntries(
      metrics.map((name) => [
        name.slice(METRIC.length),
        Number((results[name]!.data as ArrayLike<number>)[0]),
      ]),
    );
  };
  return (batch: unknown) =>
    owned.during(async () => {
      const lent = program.copies(hostInputs("call", batch, batchSpecs));
      return owned.inTurn(() => runOnce(lent));
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

import { DmaeError, type HostTensors } from "@dmae/core";
import type {
  PreparedStep,
  PreparedSteps,
  StepFunction,
  StepInit,
  StepsInit,
  TensorSpecs,
  Tensors,
} from "@dmae/nn";
import { checkedSpecs, checkStepResult, checkTensors, describeValue } from "@dmae/nn/executors";
import { deviceFor } from "./device/device.ts";
import { deviceState } from "./device/device-state.ts";
import { LoadedProgram, type PrecisionOptions, type ProgramStatistics } from "./runtime/program.ts";
import { runFailure } from "./runtime/run-failure.ts";
import { checkRuntimeOptions, type RuntimeOptions } from "./runtime/runtime.ts";
import { refuseStall, SCALING, scaledStep, withScaling } from "./scaled-step.ts";
import { BATCH, entries, METRIC, NEXT, prefixed, STATE, stripped } from "./step-names.ts";
import { hostState, type StepState } from "./step-state.ts";
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
  const { state, batch: specs, scaling } = (init ?? {}) as StepInit;
  checkTensors(caller, "state", state);
  const batch = checkedSpecs(caller, "batch", specs);
  const scales = options.precision === "float16";
  const source = scales
    ? { step: scaledStep(step as StepFunction), state: withScaling(caller, state, scaling) }
    : { step, state };
  const program = await loadStep(caller, { ...source, batch, isPartial: false }, options);
  const owned = await stateOf(caller, options, source.state).catch((error: unknown) => {
    program.dispose();
    throw error;
  });
  const run = owned.step(program, batch);
  const scaled = async (values: unknown) => {
    const metrics = await run(values);
    refuseStall(metrics);
    return metrics;
  };
  return Object.assign(scales ? scaled : run, {
    statistics: program.statistics,
    state: () => owned.copy(Object.keys(state)),
    ...(run.bring && { bring: run.bring }),
    ...(scales && { scaling: async () => [...(await owned.copy([SCALING]))[SCALING]!.data] }),
    dispose: owned.dispose,
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
  const owned = await stateOf(caller, options, state, exchanged);
  const runs = new Map<string, ReturnType<StepState["step"]>>();
  try {
    for (const [name, { step, batch: given }] of Object.entries(steps)) {
      const batch = checkedSpecs(caller, "batch", given);
      const program = await loadStep(caller, { step, state, batch, isPartial: true }, options);
      onCompiled?.(program.statistics);
      runs.set(name, owned.step(program, batch));
    }
  } catch (error) {
    owned.dispose();
    throw error;
  }
  return {
    run: (name, batch) => runs.get(name)!(batch),
    exchange: owned.exchange,
    state: () => owned.copy(),
    dispose: owned.dispose,
  };
}

/** The state where its programs keep it: on a device, or in host memory. */
async function stateOf(
  caller: string,
  options: RuntimeOptions,
  state: HostTensors,
  exchanged?: readonly string[],
): Promise<StepState> {
  const { device } = await deviceFor(caller, options);
  if (!device) return hostState(state, exchanged);
  try {
    return await deviceState(device, state, exchanged);
  } catch (error) {
    throw await runFailure(caller, options, error, undefined);
  }
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

import { DmaeError } from "@dmae/core";
import { reportOnce } from "@dmae/core/native";
import { bindProgram } from "../device/bind-program.ts";
import type { BoundProgram } from "../device/bound-program.ts";
import type { Device, FoundDevice } from "../device/device.ts";
import type { OutputSpec } from "../graph/graph.ts";
import type { Program } from "../graph/optimize.ts";
import { type GeneratedKernels, withoutKernels } from "../kernels/generate.ts";
import { withoutHoles } from "../kernels/large-blocks.ts";
import { createNativeSession } from "../kernels/native-session.ts";
import type { EncodedModel } from "../onnx/onnx-model.ts";
import { OUTPUT } from "../step-names.ts";
import { isMemorySpent } from "./cuda-fix.ts";
import { batchSize, runFailure } from "./run-failure.ts";
import {
  createSession,
  type LoadedRuntime,
  loadRuntime,
  optimizationLevel,
  providerOf,
  type RuntimeOptions,
  type RuntimeSession,
  refusedSession,
  threadsOf,
} from "./runtime.ts";

/** A session, and where it computes on the memory of a device, the program that is bound to it. */
export interface MadeSession {
  readonly runtime: LoadedRuntime;
  readonly session: RuntimeSession;
  readonly bound?: BoundProgram;
}

/** What a session is made of. */
export interface SessionSource {
  readonly generated: GeneratedKernels | null;
  readonly program: Program;
  readonly outputs: ReadonlyMap<string, OutputSpec>;
  readonly model: EncodedModel;
  /** Inputs that are state, and the outputs that are its next values. */
  readonly pairs: ReadonlyMap<string, string>;
}

/** A session on a device, of generated operators or of ONNX Runtime's; null where generated ones are refused that may be left out. */
export async function makeSession(
  caller: string,
  options: RuntimeOptions,
  source: SessionSource,
  { device, reason, refusal }: FoundDevice,
): Promise<MadeSession | null> {
  if (device) return createBound(caller, options, device, source);
  if (source.generated) return createGenerated(caller, options, source);
  const { bytes, nodes, external } = source.model;
  const kept = [...source.pairs.values()]
    .filter((name) => source.outputs.has(name))
    .map((name) => OUTPUT + name);
  const made = await withoutHoles(external, options, () =>
    createSession(caller, bytes, options, external, nodes, refusal, kept),
  );
  if (reason)
    reportOnce(`${caller}: state and inputs are copied to the card for every run: ${reason}`);
  return made;
}

/** What the addon needs, of a program for the CPU or a device. */
function nativeSource(
  options: RuntimeOptions,
  { generated, program, outputs, model }: SessionSource,
  device?: Device,
) {
  return {
    addon: (generated ?? device!).addon,
    path: generated?.path ?? "",
    model: model.bytes,
    external: model.external,
    inputs: new Map(program.graph.inputs.map((input) => [input.name!, input])),
    outputs: new Map([...outputs].map(([name, spec]) => [OUTPUT + name, spec])),
    threads: threadsOf(options),
    cuda: device?.cuda,
    level: optimizationLevel(model.nodes),
  };
}

/** Says that generated operators were refused. */
function refused(caller: string, error: unknown): null {
  reportOnce(`${caller}: ${withoutKernels(error)}`);
  return null;
}

/** A session that knows generated operators; null where ONNX Runtime refuses them and they were not asked for. */
async function createGenerated(
  caller: string,
  options: RuntimeOptions,
  native: SessionSource,
): Promise<MadeSession | null> {
  const runtime = await loadRuntime(caller, options);
  try {
    return { runtime, session: createNativeSession(runtime, nativeSource(options, native)) };
  } catch (error) {
    if (options.kernels !== "generated") return refused(caller, error);
    const reason = error instanceof Error ? error.message : String(error);
    throw new DmaeError(
      "unsupported",
      `${caller}: ONNX Runtime did not accept the generated kernels: ${reason}`,
      { reason },
      { cause: error },
    );
  }
}

/** A session whose state, inputs and outputs lie on a device; null where ONNX Runtime refuses kernels, as above. */
async function createBound(
  caller: string,
  options: RuntimeOptions,
  device: Device,
  native: SessionSource,
): Promise<MadeSession | null> {
  const runtime = await loadRuntime(caller, options);
  const source = nativeSource(options, native, device);
  const state = new Set([...native.pairs].flatMap(([input, output]) => [input, OUTPUT + output]));
  try {
    const bound = await device.alone(async () => bindProgram(device, source, state));
    const session: RuntimeSession = {
      run: (feeds) => bound.call(feeds),
      release: async () => bound.dispose(),
    };
    return { runtime, session, bound };
  } catch (error) {
    if (isMemorySpent((error as Error).message)) {
      const shapes = [...source.inputs].map(([name, { shape }]) => [name, shape] as const);
      throw await runFailure(caller, options, error, batchSize(shapes));
    }
    if (native.generated && options.kernels !== "generated") return refused(caller, error);
    throw refusedSession(caller, providerOf(options), error);
  }
}

import { DmaeError } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { nodeProcess, physicalCores } from "@dmae/core/native";
import { describeValue, oneOf } from "@dmae/nn/executors";
import type { ExternalData } from "../onnx/onnx-model.ts";
import { cudaFix, fromFailure } from "./cuda-fix.ts";

/** The module `onnxruntime-node` or `onnxruntime-web`. */
export interface Runtime {
  /** The class of its tensors. */
  readonly Tensor: unknown;
  /** The class of its sessions. */
  readonly InferenceSession: unknown;
}

/** A tensor of ONNX Runtime, as far as this package uses it. */
export interface RuntimeTensor {
  readonly data: unknown;
  readonly dims?: readonly number[];
  getData?(): Promise<unknown>;
  dispose?(): void;
}

/** A session of ONNX Runtime, as far as this package uses it. */
export interface RuntimeSession {
  run(
    feeds: Record<string, RuntimeTensor>,
    fetches?: Record<string, RuntimeTensor | null>,
  ): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}

/** What this package uses of a {@link Runtime}. */
export interface LoadedRuntime {
  readonly Tensor: new (type: string, data: unknown, shape: readonly number[]) => RuntimeTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options?: object): Promise<RuntimeSession>;
  };
  /** Settings of all its sessions. */
  readonly env?: { readonly wasm?: { numThreads?: number } };
}

/** Where a compiled program runs. */
export type ExecutionProvider = "cpu" | "cuda" | "webgpu" | "coreml" | "dml" | "wasm";

const PROVIDERS: readonly ExecutionProvider[] = ["cpu", "cuda", "webgpu", "coreml", "dml", "wasm"];

/** Options of everything that makes an ONNX Runtime session. */
export interface RuntimeOptions {
  /** Execution provider; `"cpu"` (in browsers `"wasm"`) by default. */
  readonly provider?: ExecutionProvider | undefined;
  /**
   * Threads within an operator; by default the physical cores. In browsers the first program decides for all, the
   * page must be cross-origin isolated, and half the cores, at most 4, are the default.
   */
  readonly threads?: number | undefined;
  /**
   * Where the operators come from. `"standard"`: from ONNX Runtime. `"generated"`: elementwise operators and row
   * reductions are joined to C functions, which this machine's compiler (`CC`, else `cc`; Linux) turns into operators; on
   * provider cuda they become CUDA functions, compiled by NVIDIA's NVRTC. `"auto"`, the default, generates them if there
   * is a compiler: on the CPU for training steps, and for float32 functions whose convolutions have channels that ONNX
   * Runtime would pad, such as LeNet's 20 and 50; on cuda for steps and functions.
   */
  readonly kernels?: "auto" | "generated" | "standard" | undefined;
  /** The ONNX Runtime module to use, where `import("onnxruntime-node" | "onnxruntime-web")` will not do. */
  readonly onnxruntime?: Runtime | undefined;
}

/** The names of {@link RuntimeOptions}. */
export const runtimeNames = {
  provider: true,
  threads: true,
  kernels: true,
  onnxruntime: true,
} satisfies OptionNames<RuntimeOptions>;

/** Checks options that ONNX Runtime would misread, or refuse in words of its own. */
export function checkRuntimeOptions(caller: string, options: RuntimeOptions): void {
  const { provider = "cpu", threads = 1, onnxruntime } = options;
  if (!PROVIDERS.includes(provider))
    throw new DmaeError(
      "argument",
      `${caller}: provider must be ${oneOf(PROVIDERS)}, got ${describeValue(provider)}`,
    );
  if (!Number.isInteger(threads) || threads < 1)
    throw new DmaeError(
      "argument",
      `${caller}: threads must be a positive integer, got ${describeValue(threads)}`,
    );
  if (onnxruntime && !(onnxruntime.InferenceSession && onnxruntime.Tensor))
    throw new DmaeError(
      "argument",
      `${caller}: onnxruntime must be the module onnxruntime-node or onnxruntime-web, got ${describeValue(onnxruntime)}`,
    );
}

const inNode = nodeProcess?.versions?.node !== undefined;

/** The provider that `options` name, or the default one of this machine. */
export const providerOf = (options: RuntimeOptions): ExecutionProvider =>
  options.provider ?? (inNode ? "cpu" : "wasm");

/** True where the CPU of onnxruntime-node as installed runs programs: only there is it known what it does with memory. */
export const isNodeCpu = (options: RuntimeOptions): boolean =>
  providerOf(options) === "cpu" && options.onnxruntime === undefined;

/** True where results may stay on the card between runs: onnxruntime-web on WebGPU. */
export const keepsOnCard = (options: RuntimeOptions): boolean =>
  !inNode && providerOf(options) === "webgpu";

/** Threads within an operator that `options` ask for, or the default number of this machine. */
export const threadsOf = (options: RuntimeOptions): number => options.threads ?? physicalCores();

/** Imports onnxruntime-node in Node and onnxruntime-web elsewhere. */
async function importRuntime(name: string): Promise<unknown> {
  // A variable keeps bundlers for browsers from looking into the native package.
  if (inNode) return import(/* @vite-ignore */ /* webpackIgnore: true */ name);
  return import("onnxruntime-web");
}

/** The ONNX Runtime that `options` give, or the installed one. */
export async function loadRuntime(
  caller: string,
  options: RuntimeOptions,
  load = importRuntime,
): Promise<LoadedRuntime> {
  if (options.onnxruntime) return options.onnxruntime as LoadedRuntime;
  const name = inNode ? "onnxruntime-node" : "onnxruntime-web";
  try {
    const loaded = (await load(name)) as LoadedRuntime & { default?: LoadedRuntime };
    return loaded.default?.InferenceSession ? loaded.default : loaded;
  } catch (error) {
    throw new DmaeError(
      "unsupported",
      `${caller}: needs ONNX Runtime; run \`npm install ${name}\``,
      { package: name },
      { cause: error },
    );
  }
}

/**
 * How threads wait between operators. A thread that sleeps takes longer to wake than a small operator takes to
 * run; one that spins for long takes the core of whoever feeds the session. So: 20 microseconds, and none
 * after a run.
 */
const WAITING = {
  force_spinning_stop: "1",
  intra_op: { allow_spinning: "1", spin_duration_us: "20" },
  inter_op: { allow_spinning: "0" },
};

const SLEEPING = { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } };

/** A sum and a Gelu apart take 0.85 ms for [1600, 768], the operator that ONNX Runtime makes of them 1.06. */
const OPTIMIZATION = { disable_specified_optimizers: "BiasGeluFusion" };

/** Settings of sessions in the form that ONNX Runtime's C interface takes. */
export const nativeSettings = (): Record<string, string> =>
  flatten({ session: WAITING, optimization: OPTIMIZATION });

const flatten = (settings: object, prefix = ""): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([key, value]) =>
      typeof value === "string"
        ? [[prefix + key, value]]
        : Object.entries(flatten(value as object, `${prefix}${key}.`)),
    ),
  );

/** Nodes from which ONNX Runtime's own passes take longer than they save. */
const MANY_NODES = 20_000;

/**
 * How much ONNX Runtime rewrites a graph, which our passes have cleaned before. Its time grows faster than the graph: a training
 * step with an attack of ten steps on a ResNet-110 (27,500 nodes) is ready after 82 s of processor time with all
 * passes and after 8 s without; a step then takes 3.0 s instead of 2.4 s. With generated kernels it has 7,100 nodes, and loads in 6 s.
 */
export const optimizationLevel = (nodes: number): "all" | "disabled" =>
  nodes > MANY_NODES ? "disabled" : "all";

/**
 * Makes a session of a model with so many nodes.
 *
 * @param known why the provider may refuse: onnxruntime-node does not say which library was missing
 * @param kept outputs that stay on the card, where {@link keepsOnCard}
 */
export async function createSession(
  caller: string,
  model: Uint8Array,
  options: RuntimeOptions,
  external: readonly ExternalData[] = [],
  nodes = 0,
  known?: string,
  kept: readonly string[] = [],
): Promise<{ runtime: LoadedRuntime; session: RuntimeSession }> {
  const runtime = await loadRuntime(caller, options);
  const provider = providerOf(options);
  if (runtime.env?.wasm && options.threads !== undefined)
    runtime.env.wasm.numThreads = options.threads;
  try {
    const session = await runtime.InferenceSession.create(model, {
      executionProviders: [provider],
      graphOptimizationLevel: optimizationLevel(nodes),
      enableMemPattern: false, // its plan comes on top of the arena: 40 % less memory, the same speed
      logSeverityLevel: 4, // errors are thrown, not printed as well
      ...(external.length > 0 ? { externalData: external } : {}),
      ...(kept.length > 0 && keepsOnCard(options)
        ? { preferredOutputLocation: Object.fromEntries(kept.map((name) => [name, "gpu-buffer"])) }
        : {}),
      ...profiling(),
      ...(inNode ? { intraOpNumThreads: threadsOf(options) } : {}),
      extra: {
        session: inNode ? WAITING : SLEEPING,
        optimization: OPTIMIZATION,
      },
    });
    return { runtime, session };
  } catch (error) {
    throw refusedSession(caller, provider, error, known);
  }
}

/** What to say where ONNX Runtime makes no session. */
export function refusedSession(
  caller: string,
  provider: ExecutionProvider,
  error: unknown,
  known?: string,
): DmaeError {
  const reason = known ?? (error instanceof Error ? error.message : String(error));
  const hint = provider === providerOf({}) ? "" : hintFor(provider, reason);
  return new DmaeError(
    "unsupported",
    `${caller}: ONNX Runtime did not accept the graph on provider ${provider}${hint}: ${fromFailure(reason)}`,
    { provider, reason },
    { cause: error },
  );
}

const hintFor = (provider: ExecutionProvider, reason: string): string =>
  provider === "cuda" ? `; ${cudaFix(reason)}` : "; this machine may lack it";

/** With DMAE_ORT_PROFILE=prefix ONNX Runtime writes a profile of every session when it is disposed of. */
function profiling(): object {
  const prefix = profilePrefix();
  return prefix ? { enableProfiling: true, profileFilePrefix: prefix } : {};
}

/** Where profiles go; "" for nowhere. */
export const profilePrefix = (): string => nodeProcess?.env?.DMAE_ORT_PROFILE ?? "";

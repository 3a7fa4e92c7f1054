import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";
import { nodeProcess } from "@dmae/core/native";
import { describeValue, lifetime, oneOf } from "@dmae/nn/executors";
import type { Quantization } from "../check-quantization.ts";
import type { CallOrder } from "../device/bound-program.ts";
import { deviceFor } from "../device/device.ts";
import type { OutputSpec } from "../graph/graph.ts";
import { type HalfForm, halvePrecision } from "../graph/halve-precision.ts";
import { elementwise, inPlaceInputs, type Overwrites } from "../graph/in-place.ts";
import { type OptimizeOptions, optimize, type Program } from "../graph/optimize.ts";
import { printGraph } from "../graph/print-graph.ts";
import { quantizeProgram } from "../graph/quantize-graph.ts";
import { separateSumsForCard, tuneForCpu } from "../graph/tune-for-cpu.ts";
import { generateKernels } from "../kernels/generate.ts";
import { encodeModel } from "../onnx/onnx-model.ts";
import { OUTPUT } from "../step-names.ts";
import type { Trace } from "../tracing/trace.ts";
import { takeTurns } from "./in-turn.ts";
import { type MadeSession, makeSession } from "./make-session.ts";
import { endsAtMarker, MARKER, runWithoutCopies } from "./output-copies.ts";
import { batchSize, runFailure } from "./run-failure.ts";
import {
  type ExecutionProvider,
  isNodeCpu,
  keepsOnCard,
  type LoadedRuntime,
  loadRuntime,
  providerOf,
  type RuntimeOptions,
  type RuntimeSession,
  type RuntimeTensor,
} from "./runtime.ts";

/** Constants of this many bytes are handed to ONNX Runtime as they are, not copied into a model first. */
const EXTERNAL = 1 << 16;

const renamed = <T>(record: Readonly<Record<string, T>>, rename: (name: string) => string) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [rename(name), value]));

/** Options that say in which numbers a function is computed. */
export interface PrecisionOptions {
  /**
   * `"float32"` by default. `"bfloat16"` and `"float16"`: matrix products, convolutions and attention read and give 16-bit numbers
   * and sum in float32; parameters, optimizer moments, normalisations, softmax and losses stay float32. On a CPU float32
   * products of rounded numbers stand in for them, and generated kernels keep the inside of attention in float32. `"int8"` needs
   * `quantization`, and is not for training.
   */
  readonly precision?: "float32" | "bfloat16" | "float16" | "int8" | undefined;
  /** The fixed scales that `quantize` found for the same function. */
  readonly quantization?: Quantization | undefined;
}

/** The names of {@link PrecisionOptions}. */
export const precisionNames = {
  precision: true,
  quantization: true,
} satisfies OptionNames<PrecisionOptions>;

const PRECISIONS = ["float32", "bfloat16", "float16", "int8"] as const;

/** Checks the precision of `options` against each other and the provider. */
export function checkPrecision(
  caller: string,
  { precision = "float32", quantization }: PrecisionOptions,
  provider: ExecutionProvider,
): void {
  if (!PRECISIONS.includes(precision))
    throw new DmaeError(
      "argument",
      `${caller}: precision must be ${oneOf(PRECISIONS)}, got ${describeValue(precision)}`,
    );
  if (precision === "int8" && !quantization)
    throw new DmaeError(
      "argument",
      `${caller}: precision int8 needs quantization; find it with quantize on calibration inputs`,
    );
  if (precision === "bfloat16" && ["webgpu", "coreml", "dml"].includes(provider))
    throw new DmaeError(
      "unsupported",
      `${caller}: provider ${provider} has no bfloat16; use precision float16`,
      { provider },
    );
}

/** How {@link finish} treats a trace: what it may fuse, and where 16-bit products run. */
export interface FinishOptions extends OptimizeOptions {
  /** On operators of that type (the default), or on float32 ones between roundings. */
  readonly halfForm?: HalfForm | undefined;
}

/** Cleans a trace; for int8 it is quantized, for 16 bits its products are. */
export function finish(
  caller: string,
  traced: Trace,
  { precision = "float32", quantization }: PrecisionOptions,
  { halfForm = "cast", ...how }: FinishOptions,
): Program {
  const isHalf = precision === "bfloat16" || precision === "float16";
  const cleaned = optimize(traced, { ...how, transposeAll: precision === "int8" });
  const ready = how.forKernels === "card" ? separateSumsForCard(cleaned) : cleaned;
  if (isHalf) return halvePrecision(ready, precision, halfForm);
  return precision === "int8" ? quantizeProgram(caller, ready, quantization!) : ready;
}

/** What a provider runs best, with generated kernels or without. */
export function preferred(provider: ExecutionProvider, forKernels = false): OptimizeOptions {
  const onDevice = provider !== "cpu" && provider !== "wasm";
  if (forKernels) return { forKernels: onDevice ? "card" : "cpu" };
  return { skipNorms: onDevice, plainProducts: onDevice && provider !== "cuda" };
}

/** Facts about a compiled program, for logs and benchmarks. */
export interface ProgramStatistics {
  /** Nodes of the graph. */
  readonly nodes: number;
  /** Bytes of the ONNX model. */
  readonly modelBytes: number;
  /** Milliseconds that tracing and cleaning the graph took, and compiling its kernels where that was not done before. */
  readonly traceMilliseconds: number;
  /** Milliseconds that ONNX Runtime took to load it. */
  readonly loadMilliseconds: number;
  /** Generated operators; 0 where all are ONNX Runtime's. */
  readonly kernels: number;
  /** Where state, inputs and outputs lie during runs: the card's memory needs a C compiler (Linux). */
  readonly memory: "host" | "device";
}

interface ProgramParts extends MadeSession {
  readonly options: RuntimeOptions;
  readonly outputs: ReadonlyMap<string, OutputSpec>;
  readonly inPlace: ReadonlySet<string>;
  readonly writesInto: boolean;
  /** Whether the graph has the output that saves copies. */
  readonly hasMarker: boolean;
}

/** A graph in a session, with the shapes of what goes in and comes out. */
export class LoadedProgram {
  private readonly life = lifetime(
    () => void this.session.release(),
    () => this.refuse(),
  );

  readonly outputs: ReadonlyMap<string, OutputSpec>;
  /** Inputs whose buffer the output that `pairs` names may take. */
  readonly inPlace: ReadonlySet<string>;
  /** Whether outputs are written into the tensors that `run` is given; else they come in new ones. */
  readonly writesInto: boolean;
  /** Whether results that are state stay on the card, in tensors of their own. */
  readonly keepsState: boolean;
  private readonly runtime: LoadedRuntime;
  private readonly session: RuntimeSession;

  private constructor(
    readonly caller: string,
    private readonly parts: ProgramParts,
    readonly statistics: ProgramStatistics,
  ) {
    this.outputs = parts.outputs;
    this.inPlace = parts.inPlace;
    this.writesInto = parts.writesInto;
    this.keepsState = keepsOnCard(parts.options);
    this.runtime = parts.runtime;
    this.session = parts.session;
  }

  static async load(
    caller: string,
    makeTrace: () => Trace,
    options: RuntimeOptions & PrecisionOptions,
    pairs: ReadonlyMap<string, string> = new Map(),
  ): Promise<LoadedProgram> {
    const started = performance.now();
    const traced = makeTrace();
    const provider = providerOf(options);
    checkPrecision(caller, options, provider);
    const onCpu = provider === "cpu" || provider === "wasm";
    const finished = (forKernels: boolean) =>
      finish(caller, traced, options, {
        ...preferred(provider, forKernels),
        halfForm: onCpu ? (forKernels ? "kernels" : "round") : "cast",
      });
    const generated = await generateKernels(caller, () => finished(true), options, pairs.size > 0);
    const whole = generated?.fused.program ?? finished(false);
    const program = provider === "cpu" ? tuneForCpu(whole) : whole;
    if (nodeProcess?.env?.DMAE_PRINT_GRAPH) console.error(`${caller}\n${printGraph(program)}`);
    const outputNames = traced.outputNames.map((name) => OUTPUT + name);
    const found = await deviceFor(caller, options);
    const { device } = found;
    // onnxruntime-node writes into the buffers it is given; onnxruntime-web leaves them as they are, and returns new ones.
    const writesInto = isNodeCpu(options) || device !== undefined;
    const marked =
      pairs.size > 0 &&
      writesInto &&
      !generated &&
      !device &&
      (await endsAtMarker(await loadRuntime(caller, options)));
    const emptySequence = marked ? MARKER : undefined;
    const model = encodeModel({
      ...program,
      outputNames,
      emptySequence,
      ...(writesInto ? { externalFrom: EXTERNAL } : {}),
    });
    const outputs = new Map(
      traced.outputs.map(({ shape, dtype }, i) => [traced.outputNames[i]!, { shape, dtype }]),
    );
    const overwrites: Overwrites = (node, input, output) =>
      elementwise(node, input, output) ||
      (generated?.fused.library.overwrites(node, input, output) ?? false);
    const inPlace = reusable(program, traced.outputNames, pairs, overwrites);
    const encoded = performance.now();
    const native = { generated, program, outputs, model, pairs };
    const made = await makeSession(caller, options, native, found);
    if (!made) return LoadedProgram.load(caller, () => traced, withoutKernels(options), pairs);
    const parts = { ...made, options, outputs, inPlace, writesInto, hasMarker: marked };
    const { bytes, nodes, external } = model;
    return new LoadedProgram(caller, parts, {
      nodes,
      modelBytes: bytes.length + external.reduce((n, { data }) => n + data.length, 0),
      traceMilliseconds: encoded - started,
      loadMilliseconds: performance.now() - encoded,
      kernels: generated?.fused.count ?? 0,
      memory: device ? "device" : "host",
    });
  }

  /** Wraps host memory; nothing is copied. */
  tensor({ dtype, shape, data }: HostTensor): RuntimeTensor {
    return new this.runtime.Tensor(dtype, data, shape);
  }

  /** Wraps every one of a record. */
  tensors(values: HostTensors): Record<string, RuntimeTensor> {
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, this.tensor(value)]),
    );
  }

  /**
   * Wraps copies of what a caller lends: a run reads it later than the call, when the caller may have filled it anew or given its
   * memory to a worker.
   */
  copies(values: HostTensors): Record<string, RuntimeTensor> {
    if (this.parts.bound) return this.tensors(values); // which copies them itself
    const lent = Object.entries(values);
    return this.tensors(
      Object.fromEntries(
        lent.map(([name, value]) => [name, { ...value, data: value.data.slice() }]),
      ),
    );
  }

  /** Runs; the outputs are written to the tensors `into`, where given and the provider can. */
  run(
    feeds: Record<string, RuntimeTensor>,
    into?: Record<string, RuntimeTensor>,
  ): Promise<Record<string, RuntimeTensor>> {
    const run = () => this.runNow(feeds, into);
    return this.life.during(() => (this.writesInto ? run() : inTurn(run)));
  }

  /** Runs on the state that lies on the device, with the values of a batch or those that were brought of it. */
  runBound(
    values: HostTensors,
    order: CallOrder,
    batch: unknown,
  ): Promise<Record<string, HostTensor>> {
    const feeds = this.tensors(values);
    return this.life.during(() =>
      this.explained(feeds, async () => {
        const results = await this.parts.bound!.call(feeds, order, batch as object);
        return renamed(results, (name) => name.slice(OUTPUT.length));
      }),
    );
  }

  /** Brings the values of a batch to the device, for the next run. */
  bring(values: HostTensors, batch: unknown): Promise<void> {
    return this.life.during(() => this.parts.bound!.bring(values, batch as object));
  }

  private runNow(
    feeds: Record<string, RuntimeTensor>,
    into: Record<string, RuntimeTensor> | undefined,
  ): Promise<Record<string, RuntimeTensor>> {
    const { session } = this;
    return this.explained(feeds, async () => {
      const targets = into && renamed(into, (name) => OUTPUT + name);
      const results = await (targets && this.parts.hasMarker
        ? runWithoutCopies(session, feeds, targets)
        : session.run(feeds, targets));
      return renamed(results, (name) => name.slice(OUTPUT.length));
    });
  }

  /** Says what to do about an error of a run. */
  private async explained<T>(
    feeds: Record<string, RuntimeTensor>,
    run: () => Promise<T>,
  ): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const shapes = Object.entries(feeds).map(([name, { dims }]) => [name, dims] as const);
      throw await runFailure(this.caller, this.parts.options, error, batchSize(shapes));
    }
  }

  /** Releases the session, once the runs that were started have ended. */
  dispose(): void {
    this.life.close();
  }

  private refuse(): never {
    throw new DmaeError(
      "argument",
      `${this.caller}: this program was disposed of; compile it again`,
    );
  }
}

/** onnxruntime-web runs one session at a time, whichever it is: on WebGPU it refuses a second one. */
const inTurn = takeTurns();

const withoutKernels = <T>(options: T) => ({ ...options, kernels: "standard" as const });

/** Names of the inputs whose buffer their output (`pairs`: input to output) may take. */
function reusable(
  program: Program,
  outputNames: readonly string[],
  pairs: ReadonlyMap<string, string>,
  overwrites: Overwrites,
): Set<string> {
  const candidates = program.graph.inputs.flatMap((input) => {
    const index = outputNames.indexOf(pairs.get(input.name!) ?? "");
    return index < 0 ? [] : [{ input, output: program.outputs[index]! }];
  });
  return new Set([...inPlaceInputs(program, candidates, overwrites)].map((input) => input.name!));
}

/** What a runtime tensor holds, in host memory. */
export async function toHostTensor(tensor: RuntimeTensor, spec: OutputSpec): Promise<HostTensor> {
  const data = tensor.getData ? await tensor.getData() : tensor.data;
  return {
    dtype: spec.dtype as HostTensor["dtype"],
    shape: [...spec.shape],
    data: data as HostTensor["data"],
  };
}

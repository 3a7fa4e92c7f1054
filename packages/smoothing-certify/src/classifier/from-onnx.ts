import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { physicalCores } from "@dmae/core/native";
import { show } from "../checks.ts";
import { inNode } from "../in-node.ts";
import type { ClassifierTraits } from "./classifier-traits.ts";
import { toFloat16 } from "./float16.ts";
import { imageShapeOf, modelInput } from "./model-input.ts";
import { chooseName, readModelOutput } from "./model-output.ts";
import {
  findSuspects,
  lastOperatorOf,
  type OnnxGraph,
  readOnnxGraph,
  type Suspects,
} from "./onnx-graph.ts";
import {
  type LoadedRuntime,
  loadRuntime,
  type OnnxFile,
  type OnnxRuntime,
  type OnnxSession,
  type OnnxValue,
  pathOfModel,
  readModel,
} from "./onnx-runtime.ts";
import { checkPreprocessing, type Preprocessing, preprocessingNames } from "./preprocessing.ts";
import { sha256, sha256File } from "./sha256.ts";
import { inTurn } from "./turns.ts";
import { UnchangedFiles } from "./unchanged-files.ts";

/** Options of {@link fromOnnx}. */
export interface OnnxOptions extends Preprocessing {
  /** Name of the input; needed where there are several. */
  readonly input?: string | undefined;
  /** Options for ONNX Runtime's `InferenceSession.create`, e.g. `{ executionProviders: ["webgpu"] }`. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /** The ONNX Runtime to use; default `onnxruntime-node`, in browsers `onnxruntime-web`. */
  readonly onnxruntime?: OnnxRuntime | undefined;
}

/** A model that was loaded as a classifier. */
export interface LoadedClassifier extends ClassifierTraits {
  /** Logits or class ids of a batch `[n, H, W, C]`, which is copied; calls may overlap. */
  predict(batch: Float32Array, shape: number[]): Promise<unknown>;
  /** Frees the model, if it was loaded here. */
  dispose(): Promise<void>;
}

/**
 * Makes a classifier of an ONNX model, run by `onnxruntime-node` or, in browsers, `onnxruntime-web` (optional
 * dependencies). The file is read for nodes that make a row's class depend on the rows beside it (dynamic quantization, batch
 * normalization in training mode) or that draw random numbers; certification then refuses it by name.
 *
 * Inputs may be float32, float16, float64 or uint8 (values are rounded to 0 … 255). Outputs are logits `[n, classes]`,
 * also as `[n, classes, 1, 1]`, class ids, or the single output of a model of two classes.
 *
 * @param model path (in browsers an address to fetch), URL, `Blob` or bytes of an `.onnx` file, or an ONNX Runtime session
 * @param options how the model wants its images; see {@link Preprocessing}
 * @returns dispose of it when done
 * @throws {DmaeError} "file" for what is no ONNX model, "unsupported" where ONNX Runtime is missing
 * @example
 * const classifier = await fromOnnx("model.onnx", { mean: [0.5], std: [0.25] });
 * const { radius } = await certify(classifier, { data: image, shape: [28, 28, 1] }, { sigma: 0.25 });
 */
export async function fromOnnx(
  model: string | URL | Blob | Uint8Array | ArrayBuffer | OnnxSession,
  options: OnnxOptions = {},
): Promise<LoadedClassifier> {
  checkOptions(CALLER, options, names);
  checkModel(model);
  const runtime = await loadRuntime(options.onnxruntime);
  const isNative = runsNatively(options);
  const owned = !isSession(model);
  const { session, ...about } = owned
    ? await open(runtime, model, options)
    : { session: model, suspects: undefined, hash: "a session", lastOperator: undefined };
  const input = chooseName(CALLER, "input", session.inputNames, options.input);
  const output = chooseName(CALLER, "output", session.outputNames, options.output);
  const expected = session.inputMetadata?.[session.inputNames.indexOf(input)];
  const given = session.outputMetadata?.[session.outputNames.indexOf(output)];
  const encode = encoderOf(expected);
  const preprocessing = checkPreprocessing(CALLER, options, expected?.type === "uint8");
  const write = modelInput(CALLER, expected?.shape, preprocessing, "NCHW");
  const { fixedBatchSize, numClasses } = sizesOf(expected?.shape, given);
  const isProbability = numClasses === undefined && about.lastOperator?.(output) === "Sigmoid";
  const binary = options.binary ?? (isProbability ? "probability" : undefined);
  const memory = new SpareMemory();
  let isReleased = !owned;
  return {
    input: "array",
    ...(fixedBatchSize && { fixedBatchSize }),
    ...(binary ? { numClasses: 2 } : numClasses && { numClasses }),
    ...imageShapeOf(expected?.shape, preprocessing, "NCHW"),
    ...about.suspects,
    preprocessing: [preprocessing],
    fingerprint: JSON.stringify(["onnx", about.hash, input, output, preprocessing, binary]),
    ...(owned && about.hash !== "" && { sha256: about.hash }),
    ...(typeof model === "string" && { name: model.replace(/^.*[\\/]/, "") }),
    async predict(batch, shape) {
      let spare: Float32Array | undefined;
      try {
        const { data, dims } = write(batch, shape, (length) => {
          spare = memory.take(length);
          return spare;
        });
        const feeds = { [input]: encode(runtime, data, dims) } as never;
        const run = () => session.run(feeds, [output]) as Promise<Record<string, unknown>>;
        const results = await (isNative ? run() : inTurn(webRuntime, run));
        return await readModelOutput(CALLER, results[output], shape[0]!, binary);
      } finally {
        if (spare) memory.give(spare);
      }
    },
    async dispose() {
      if (isReleased) return;
      isReleased = true;
      await session.release?.();
    },
  };
}

const CALLER = "fromOnnx";

/** Whether onnxruntime-node runs the model. */
const runsNatively = ({ onnxruntime }: OnnxOptions) => inNode && onnxruntime === undefined;

/**
 * How onnxruntime-node runs a model unless the caller says otherwise. ONNX Runtime itself counts the cores of the machine, also those
 * that this process may not use. Threads that go on spinning keep a core busy after each run, which the next session needs: an ensemble
 * of two small models took up to twice as long.
 */
const nativeSession = () => ({
  intraOpNumThreads: physicalCores(),
  extra: { session: { force_spinning_stop: "1" } },
});

const names = {
  ...preprocessingNames,
  input: true,
  session: true,
  onnxruntime: true,
} satisfies OptionNames<OnnxOptions>;

/** The batch size that the model is fixed to, and the number of its outputs if there are several, as far as it says them. */
function sizesOf(
  input: OnnxValue["shape"],
  output: OnnxValue | undefined,
): Pick<ClassifierTraits, "fixedBatchSize" | "numClasses"> {
  const rows = input?.[0];
  const [, first, ...rest] = output?.shape ?? [];
  const classes = rest.every((length) => length === 1) ? first : undefined;
  return {
    ...(typeof rows === "number" && rows > 0 && { fixedBatchSize: rows }),
    ...(typeof classes === "number" && classes > 1 && { numClasses: classes }),
  };
}

/** Makes the tensor that the model's input wants. */
function encoderOf(
  expected: OnnxValue | undefined,
): (runtime: LoadedRuntime, data: Float32Array, dims: readonly number[]) => object {
  const type = expected?.type ?? "float32";
  const encode = encodings[type];
  if (encode) return ({ Tensor }, data, dims) => new Tensor(type, encode(data), dims);
  throw new DmaeError(
    "unsupported",
    `fromOnnx: the model's input ${expected?.name} must be ${Object.keys(encodings).join(", ")}, got ${type}`,
  );
}

const encodings: Readonly<Record<string, (data: Float32Array) => ArrayBufferView>> = {
  float32: (data) => data,
  float16: toFloat16,
  float64: (data) => Float64Array.from(data),
  uint8: (data) => new Uint8Array(Uint8ClampedArray.from(data).buffer),
};

/**
 * Memory for the batches of calls that are under way: ONNX Runtime reads its input after `run` has
 * returned, so no two of them may share it. The memory of a call that ended serves the next one.
 */
class SpareMemory {
  private spare = new Float32Array(0);

  take(length: number): Float32Array {
    const { spare } = this;
    if (spare.length < length) return new Float32Array(length);
    this.spare = new Float32Array(0);
    return spare.subarray(0, length);
  }

  give(data: Float32Array): void {
    if (data.buffer.byteLength >= this.spare.buffer.byteLength)
      this.spare = new Float32Array(data.buffer as ArrayBuffer);
  }
}

/** onnxruntime-web runs one session at a time, whichever it is. */
const webRuntime = {};

function isSession(model: unknown): model is OnnxSession {
  const session = model as OnnxSession | undefined;
  return typeof session?.run === "function" && Array.isArray(session.inputNames);
}

/** A session and what its file says. */
interface LoadedModel {
  readonly session: OnnxSession;
  readonly suspects: Suspects;
  readonly hash: string;
  /** Type of the node that makes an output. */
  lastOperator(output: string): string | undefined;
}

/** The files of weights beside a model that was given by its path, by name; none elsewhere. */
async function weightPaths(
  model: string | undefined,
  files: ReadonlySet<string>,
): Promise<string[]> {
  if (model === undefined) return [];
  const { dirname, join } = await import("node:path");
  return [...files].sort().map((file) => join(dirname(model), file));
}

/** Throws for what names no model. */
function checkModel(model: unknown): void {
  const isFile =
    (typeof model === "string" && model !== "") ||
    [URL, Blob, Uint8Array, ArrayBuffer].some((type) => model instanceof type);
  if (isFile || isSession(model)) return;
  throw new DmaeError(
    "argument",
    `${CALLER}: model must be a path, URL, Blob, bytes or a session of ONNX Runtime, got ${show(model)}`,
  );
}

async function open(
  runtime: LoadedRuntime,
  model: OnnxFile,
  options: OnnxOptions,
): Promise<LoadedModel> {
  const name = labelOf(model);
  try {
    const files = new UnchangedFiles(); // the runtime reads for itself what the fingerprint is made of
    const path = await pathOfModel(model);
    if (path !== undefined) await files.note([path]);
    const { bytes, source } = await readModel(model);
    const graph = readGraph(bytes);
    const weights = await weightPaths(path, graph.weightFiles);
    await files.note(weights);
    const own = runsNatively(options) ? nativeSession() : {};
    const session = await runtime.InferenceSession.create(source, { ...own, ...options.session });
    const hash = await sha256(bytes, ...(await Promise.all(weights.map(sha256File))));
    await files.check().catch(async (error) => {
      await session.release?.();
      throw error;
    });
    const lastOperator = (output: string) => lastOperatorOf(graph, output);
    return { session, suspects: findSuspects(graph), hash, lastOperator };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError(
      "file",
      `fromOnnx: cannot load ${name}: ${reason}`,
      { file: name },
      { cause },
    );
  }
}

/** The nodes of the file; what cannot be read says that it is no ONNX file. */
function readGraph(bytes: Uint8Array): OnnxGraph {
  try {
    return readOnnxGraph(bytes);
  } catch (cause) {
    throw new Error(`it is no complete ONNX file: ${(cause as Error).message}`, { cause });
  }
}

function labelOf(model: OnnxFile): string {
  if (model instanceof Uint8Array || model instanceof ArrayBuffer) return "the given bytes";
  if (model instanceof Blob) return (model as { name?: string }).name ?? "the given blob";
  return String(model);
}

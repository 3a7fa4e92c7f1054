import { checkOptions, DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import { inNode } from "../in-node.ts";
import type { ClassifierTraits } from "./classifier.ts";
import { findSuspects, readOnnxGraph, type Suspects } from "./onnx-graph.ts";
import { type Layout, type Normalize, onnxInput } from "./onnx-input.ts";
import {
  type LoadedRuntime,
  loadRuntime,
  type OnnxRuntime,
  type OnnxSession,
  type OnnxValue,
  readModel,
} from "./onnx-runtime.ts";
import { sha256 } from "./sha256.ts";
import { inTurn } from "./turns.ts";

/** Options of {@link fromOnnx}. */
export interface OnnxOptions {
  /**
   * Order of the axes that the model wants; images come as `[H, W, C]`. By default read from the
   * model's input, where three or one channels tell; `"as-is"` for inputs of another rank.
   */
  readonly layout?: Layout | undefined;
  /** Channel means and deviations that the model wants taken out, after the noise. */
  readonly normalize?: Normalize | undefined;
  /** Name of the input; default the first. */
  readonly input?: string | undefined;
  /** Name of the output with the logits; default the first. */
  readonly output?: string | undefined;
  /** Options for ONNX Runtime's `InferenceSession.create`, e.g. `{ executionProviders: ["webgpu"] }`. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /** The ONNX Runtime to use; default `onnxruntime-node`, in browsers `onnxruntime-web`. */
  readonly onnxruntime?: OnnxRuntime | undefined;
}

/** An ONNX model as a classifier. */
export interface OnnxClassifier extends ClassifierTraits {
  /** Logits or class ids of a batch `[n, H, W, C]`, which is copied; calls may overlap. */
  predict(batch: Float32Array, shape: number[]): Promise<unknown>;
  /** Frees the session, if it was created here. */
  dispose(): Promise<void>;
}

/**
 * Makes a classifier of an ONNX model, run by `onnxruntime-node` or, in browsers, `onnxruntime-web` (optional
 * dependencies). The file is read for nodes that make a row's class depend on the rows beside it (dynamic quantization, batch
 * normalization in training mode) or that draw random numbers; certification then refuses it by name.
 *
 * @param model path (in browsers an address to fetch), URL, `Blob` or bytes of an `.onnx` file, or an ONNX Runtime session
 * @returns dispose of it when done
 * @throws {DmaeError} "file" for what is no ONNX model, "unsupported" where ONNX Runtime is missing
 * @example
 * const classify = await fromOnnx("model.onnx", { normalize: { mean: [0.5], std: [0.25] } });
 * const { radius } = await certify(classify, { data: image, shape: [28, 28, 1] }, { sigma: 0.25 });
 */
export async function fromOnnx(
  model: string | URL | Blob | Uint8Array | OnnxSession,
  options: OnnxOptions = {},
): Promise<OnnxClassifier> {
  checkOptions("fromOnnx", options, {
    layout: true,
    normalize: { mean: true, std: true },
    input: true,
    output: true,
    session: true,
    onnxruntime: true,
  });
  const runtime = await loadRuntime(options.onnxruntime);
  const isNative = inNode && options.onnxruntime === undefined;
  const owned = !isSession(model);
  const { session, suspects, hash } = owned
    ? await open(runtime, model, options)
    : { session: model, suspects: undefined, hash: "a session" };
  const input = nameOf("input", session.inputNames, options.input);
  const output = nameOf("output", session.outputNames, options.output);
  const expected = session.inputMetadata?.[session.inputNames.indexOf(input)];
  const given = session.outputMetadata?.[session.outputNames.indexOf(output)]?.shape;
  checkType(expected);
  const write = onnxInput(expected?.shape, options);
  const memory = new SpareMemory();
  const fixed = expected?.shape?.[0];
  const classes = given && given.length === 2 ? given[1] : undefined;
  return {
    input: "array",
    ...(typeof fixed === "number" && fixed > 0 && { fixedBatchSize: fixed }),
    ...(typeof classes === "number" && classes > 1 && { numClasses: classes }),
    ...suspects,
    ...(options.normalize && { normalizations: [options.normalize] }),
    fingerprint: JSON.stringify(["onnx", hash, input, output, options.layout, options.normalize]),
    ...(typeof model === "string" && { name: model.replace(/^.*[\\/]/, "") }),
    async predict(batch, shape) {
      const data = memory.take(batch.length);
      try {
        const dims = write(batch, shape, data);
        const feeds = { [input]: new runtime.Tensor("float32", data, dims) } as never;
        const run = () => session.run(feeds, [output]) as Promise<Record<string, unknown>>;
        const results = await (isNative ? run() : inTurn(webRuntime, run));
        return results[output];
      } finally {
        memory.give(data);
      }
    },
    dispose: async () => (owned ? session.release?.() : undefined),
  };
}

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

async function open(
  runtime: LoadedRuntime,
  model: string | URL | Blob | Uint8Array,
  options: OnnxOptions,
): Promise<{ session: OnnxSession; suspects: Suspects; hash: string }> {
  const name = labelOf(model);
  try {
    const { bytes, source } = await readModel(model);
    const graph = readOnnxGraph(bytes);
    const session = await runtime.InferenceSession.create(source, options.session);
    const hash = await sha256(bytes);
    return { session, suspects: findSuspects(graph), hash };
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

function labelOf(model: string | URL | Blob | Uint8Array): string {
  if (model instanceof Uint8Array) return "the given bytes";
  if (model instanceof Blob) return (model as { name?: string }).name ?? "the given blob";
  return String(model);
}

function nameOf(kind: string, names: readonly string[], wanted: string | undefined): string {
  const name = wanted ?? names[0];
  if (name !== undefined && names.includes(name)) return name;
  throw new DmaeError(
    "argument",
    `fromOnnx: ${kind} must be one of ${names.join(", ")}, got ${show(wanted)}`,
  );
}

function checkType(expected: OnnxValue | undefined): void {
  if (expected?.type === undefined || expected.type === "float32") return;
  throw new DmaeError(
    "unsupported",
    `fromOnnx: the model's input ${expected.name} must be float32, got ${expected.type}`,
  );
}

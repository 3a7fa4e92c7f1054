import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";
import type { ClassifierTraits } from "./classifier.ts";
import { findSuspects, readOnnxGraph, type Suspects } from "./onnx-graph.ts";
import {
  type LoadedRuntime,
  loadRuntime,
  type OnnxRuntime,
  type OnnxSession,
  type OnnxValue,
  readModel,
} from "./onnx-runtime.ts";

/** Order of the axes that a model wants: channels first or last, or whatever the input has. */
export type Layout = "NCHW" | "NHWC" | "as-is";

/** Options of {@link fromOnnx}. */
export interface OnnxOptions {
  /**
   * Order of the axes that the model wants; images come as `[H, W, C]`. By default read from the
   * model's input, where three or one channels tell; `"as-is"` for inputs of another rank.
   */
  readonly layout?: Layout | undefined;
  /** Channel means and deviations that the model wants taken out, after the noise. */
  readonly normalize?:
    | { readonly mean: readonly number[]; readonly std: readonly number[] }
    | undefined;
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
  /** Logits or class ids of a batch `[n, H, W, C]`. */
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
  const runtime = await loadRuntime(options.onnxruntime);
  const owned = !isSession(model);
  const { session, suspects } = owned
    ? await open(runtime, model, options)
    : { session: model, suspects: undefined };
  const input = nameOf("input", session.inputNames, options.input);
  const output = nameOf("output", session.outputNames, options.output);
  const expected = session.inputMetadata?.[session.inputNames.indexOf(input)];
  const given = session.outputMetadata?.[session.outputNames.indexOf(output)]?.shape;
  checkType(expected);
  const arrange = arrangement(expected?.shape, options);
  const fixed = expected?.shape?.[0];
  const classes = given && given.length === 2 ? given[1] : undefined;
  return {
    input: "array",
    ...(typeof fixed === "number" && fixed > 0 && { fixedBatchSize: fixed }),
    ...(typeof classes === "number" && classes > 1 && { numClasses: classes }),
    ...suspects,
    ...(typeof model === "string" && { name: model.replace(/^.*[\\/]/, "") }),
    async predict(batch, shape) {
      const { data, dims } = arrange(batch, shape);
      const feeds = { [input]: new runtime.Tensor("float32", data, dims) } as never;
      const results = (await session.run(feeds, [output])) as Record<string, unknown>;
      return results[output];
    },
    dispose: async () => (owned ? session.release?.() : undefined),
  };
}

function isSession(model: unknown): model is OnnxSession {
  const session = model as OnnxSession | undefined;
  return typeof session?.run === "function" && Array.isArray(session.inputNames);
}

async function open(
  runtime: LoadedRuntime,
  model: string | URL | Blob | Uint8Array,
  options: OnnxOptions,
): Promise<{ session: OnnxSession; suspects: Suspects }> {
  const name = labelOf(model);
  try {
    const { bytes, source } = await readModel(model);
    const suspects = findSuspects(readOnnxGraph(bytes));
    return { session: await runtime.InferenceSession.create(source, options.session), suspects };
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

type Arrange = (
  batch: Float32Array,
  shape: readonly number[],
) => { data: Float32Array; dims: readonly number[] };

/** Brings batches of `[H, W, C]` images into the model's order of axes, normalized. */
function arrangement(
  expected: readonly (number | string)[] | undefined,
  { layout, normalize }: OnnxOptions,
): Arrange {
  const { mean, std } = checkNormalize(normalize);
  let out = new Float32Array(0);
  return (batch, shape) => {
    const order = layout ?? guessLayout(expected, shape);
    if (shape.length !== 4 && !(order === "as-is"))
      throw new DmaeError(
        "shape",
        `fromOnnx: layout ${order} needs images of shape [H, W, C], got [${shape.slice(1)}]`,
      );
    const channels = order === "as-is" ? shape[1]! : shape.at(-1)!;
    if (mean.length > 1 && mean.length !== channels)
      throw new DmaeError(
        "shape",
        `fromOnnx: normalize has ${mean.length} channels, the images have ${channels}`,
      );
    const [n = 1, height = 1, width = 1, depth = 1] = shape;
    const dims = order === "NCHW" ? [n, depth, height, width] : shape;
    // one channel is in both orders: nothing to move, so nothing is copied
    if (mean.length === 0 && (order !== "NCHW" || depth === 1)) return { data: batch, dims };
    if (out.length < batch.length) out = new Float32Array(batch.length);
    const data = out.subarray(0, batch.length);
    if (order === "NCHW") toChannelsFirst(batch, shape, data, mean, std);
    else {
      const inner = order === "as-is" ? batch.length / shape[0]! / channels : 1;
      scale(batch, data, channels, inner, mean, std);
    }
    return { data, dims };
  };
}

function checkNormalize(normalize: OnnxOptions["normalize"]): {
  mean: readonly number[];
  std: readonly number[];
} {
  const { mean = [], std = [] } = normalize ?? {};
  const finite = [...mean, ...std].every(Number.isFinite) && std.every((value) => value > 0);
  if (finite && mean.length === std.length) return { mean, std };
  throw new DmaeError(
    "argument",
    "fromOnnx: normalize must have a mean and a std above 0 for each channel",
  );
}

/** Where the model says how many channels come when; else PyTorch's order for images. */
function guessLayout(
  expected: readonly (number | string)[] | undefined,
  shape: readonly number[],
): Layout {
  if (shape.length !== 4) return "as-is";
  if (expected?.length !== 4) return "NCHW";
  const fits = (dims: readonly (number | undefined)[]) =>
    expected.every((d, i) => i === 0 || typeof d !== "number" || d < 1 || d === dims[i]);
  const [n, height, width, depth] = shape;
  return fits([n, height, width, depth]) && !fits([n, depth, height, width]) ? "NHWC" : "NCHW";
}

function toChannelsFirst(
  batch: Float32Array,
  [n = 0, height = 0, width = 0, depth = 0]: readonly number[],
  out: Float32Array,
  mean: readonly number[],
  std: readonly number[],
): void {
  const area = height * width;
  for (let image = 0; image < n; image++)
    for (let c = 0; c < depth; c++) {
      const from = image * area * depth + c;
      const to = (image * depth + c) * area;
      const shift = mean[c] ?? mean[0] ?? 0;
      const divisor = std[c] ?? std[0] ?? 1;
      for (let i = 0; i < area; i++) out[to + i] = (batch[from + i * depth]! - shift) / divisor;
    }
}

function scale(
  batch: Float32Array,
  out: Float32Array,
  channels: number,
  inner: number,
  mean: readonly number[],
  std: readonly number[],
): void {
  for (let i = 0; i < batch.length; )
    for (let c = 0; c < channels; c++) {
      const shift = mean[c] ?? mean[0] ?? 0;
      const divisor = std[c] ?? std[0] ?? 1;
      for (const end = i + inner; i < end; i++) out[i] = (batch[i]! - shift) / divisor;
    }
}

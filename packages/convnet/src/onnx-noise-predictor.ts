import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { HostNoisePredictor } from "./one-shot-denoiser.ts";

/** A session of `onnxruntime-node` or `onnxruntime-web`, as far as it is used here. */
export interface NoiseSession {
  /** Names of the inputs, in the order of the file. */
  readonly inputNames: readonly string[];
  /** Names of the outputs, in the order of the file. */
  readonly outputNames: readonly string[];
  /** Runs the model. */
  run(feeds: never): Promise<unknown>;
}

/** Options of {@link onnxNoisePredictor}. */
export interface OnnxNoisePredictorOptions {
  /** Order of the axes of images and noise in the file; default `"NCHW"`, PyTorch's. */
  readonly layout?: "NCHW" | "NHWC" | undefined;
  /** Element type of the times; default `"float32"`. */
  readonly timeType?: "float32" | "int64" | undefined;
  /** What tells the file from others in certification logs, e.g. its SHA-256: a session does not know it. */
  readonly fingerprint?: string | undefined;
}

/** What is read of an output. */
interface Output {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

type TensorClass = new (type: string, data: never, shape: readonly number[]) => unknown;

/**
 * The noise predictor of a diffusion model in an `.onnx` file: its first input takes the images, the second the times `[n]`, and its
 * first output is the noise, with more channels where the variance is learned.
 *
 * @param session of the file
 * @param Tensor the class `Tensor` of the same runtime
 * @param options `layout`, `timeType` and `fingerprint` of the file
 * @returns what {@link oneShotDenoiser} takes as `predict`
 * @throws DmaeError "argument" for a session that does not have two inputs; the function: "shape" for noise of another size
 * @example
 * ```ts
 * import * as ort from "onnxruntime-node";
 * const file = await readFile("unet.onnx");
 * const session = await ort.InferenceSession.create(file);
 * const fingerprint = createHash("sha256").update(file).digest("hex"); // of node:crypto
 * const predict = onnxNoisePredictor(session, ort.Tensor, { timeType: "int64", fingerprint });
 * ```
 */
export function onnxNoisePredictor(
  session: NoiseSession,
  Tensor: abstract new (...args: never[]) => unknown,
  options: OnnxNoisePredictorOptions = {},
): HostNoisePredictor {
  checkOptions("onnxNoisePredictor", options, {
    layout: true,
    timeType: true,
    fingerprint: "text",
  });
  const { layout = "NCHW", timeType = "float32", fingerprint = "a session" } = options;
  const { inputNames, outputNames } = session;
  if (inputNames.length !== 2)
    throw new DmaeError(
      "argument",
      `onnxNoisePredictor: session must have two inputs, images and times, got ${inputNames.join(", ")}`,
    );
  const tensor = (type: string, data: unknown, shape: readonly number[]) =>
    new (Tensor as unknown as TensorClass)(type, data as never, shape);
  const predict: HostNoisePredictor = async (images, shape, time) => {
    const [n = 0, height = 0, width = 0, channels = 0] = shape;
    const isFirst = layout === "NCHW";
    const data = isFirst ? moveAxes(images, [n, height * width, channels]) : images;
    const own = isFirst ? [n, channels, height, width] : shape;
    const times = timeType === "int64" ? new BigInt64Array(n) : new Float32Array(n);
    for (let i = 0; i < n; i++) times[i] = timeType === "int64" ? BigInt(Math.round(time)) : time;
    const feeds = {
      [inputNames[0]!]: tensor("float32", data, own),
      [inputNames[1]!]: tensor(timeType, times, [n]),
    };
    const results = (await session.run(feeds as never)) as Record<string, Output>;
    const { data: noise, dims } = results[outputNames[0]!]!;
    const sides = isFirst ? [dims[0], dims[2], dims[3]] : dims.slice(0, 3);
    if (dims.length !== 4 || `${sides}` !== `${shape.slice(0, 3)}`)
      throw new DmaeError(
        "shape",
        `onnxNoisePredictor: the noise must be ${layout} and of the images' size, [${own}], got [${dims}]`,
      );
    if (!isFirst) return noise;
    return moveAxes(noise, [n, noise.length / (n * height * width), height * width]);
  };
  const identity = JSON.stringify(["onnx", fingerprint, layout, timeType]);
  return Object.assign(predict, { fingerprint: identity });
}

/** `[n, a, b]` to `[n, b, a]`. */
function moveAxes(data: Float32Array, [n, a, b]: readonly [number, number, number]): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < n; i++)
    for (let row = 0; row < a; row++)
      for (let column = 0; column < b; column++)
        out[(i * b + column) * a + row] = data[(i * a + row) * b + column]!;
  return out;
}

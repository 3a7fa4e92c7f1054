import { DmaeError } from "@dmae/core";
import { checkOptions, defined } from "@dmae/core/checks";
import { show } from "../checks.ts";
import type { LoadedClassifier } from "./from-onnx.ts";
import type { ImageOptions } from "./image-source.ts";
import { modelInput } from "./model-input.ts";
import { readModelOutput } from "./model-output.ts";
import {
  type CheckedPreprocessing,
  checkPreprocessing,
  type Preprocessing,
  preprocessingNames,
} from "./preprocessing.ts";
import { PROBE, type Probed, probeProcessor } from "./processor-probe.ts";

/** What is used of an image classifier of `@huggingface/transformers`. */
export interface TransformersModel {
  /** Logits of a batch. */
  // biome-ignore lint/suspicious/noExplicitAny: the tensors of whatever copy of Transformers.js is installed
  (inputs: any): Promise<{ readonly logits: any }>;
  /** What `config.json` says. */
  // biome-ignore lint/suspicious/noExplicitAny: its fields differ from model to model
  readonly config?: any;
}

/** A classifier of `@huggingface/transformers`. */
export interface TransformersClassifier extends LoadedClassifier {
  /** How its processor resizes and crops; for {@link image}. */
  readonly imageOptions: ImageOptions;
}

const CALLER = "fromTransformers";

/** The fields of an image processor that say what it does to pixels. */
interface PixelSettings {
  readonly do_rescale?: boolean;
  readonly rescale_factor?: number;
  readonly do_normalize?: boolean;
  readonly image_mean?: number | readonly number[];
  readonly image_std?: number | readonly number[];
  readonly do_flip_channel_order?: boolean;
}

/**
 * Makes a classifier of an image classifier of `@huggingface/transformers` and its processor. The processor's
 * own order is kept apart: it resizes and crops (`imageOptions`, for {@link image}), then comes the noise, then
 * it rescales and normalises. Noise is added to pixels in [0, 1], so sigma and radius are in their units; and
 * the processor itself could not take noisy images, for it cuts pixels to whole bytes.
 *
 * @param model e.g. of `AutoModelForImageClassification.from_pretrained(…)`, or `pipe.model`
 * @param processor of `AutoProcessor` or `AutoImageProcessor`, or `pipe.processor`
 * @param options what to do otherwise than the processor says, as for `fromOnnx`; `size` to certify images of
 *   another size, whose noisy copies are then resized
 * @returns nothing needs to be disposed of: the model stays yours
 * @throws {DmaeError} "unsupported" for a processor that changes pixels in another way, "argument" for other objects
 * @example
 * const classifier = await fromTransformers(model, processor);
 * const cat = await image("cat.jpg", classifier.imageOptions);
 * const { prediction, radius } = await certify(classifier, cat, { sigma: 0.25 });
 * console.log(model.config.id2label[prediction], radius);
 */
export async function fromTransformers(
  model: TransformersModel,
  processor: object,
  options: Preprocessing = {},
): Promise<TransformersClassifier> {
  checkOptions(CALLER, options, preprocessingNames);
  if (typeof model !== "function")
    throw new DmaeError("argument", `${CALLER}: model must be a model, got ${show(model)}`);
  const settings = settingsOf(processor);
  const probed = await probe(processor);
  const own = pixelsOf(settings);
  const preprocessing = checkPreprocessing(CALLER, { layout: "NCHW", ...own, ...defined(options) });
  if (probed) checkProbe(probed, checkPreprocessing(CALLER, own));
  const [height, width, channels] = probed?.shape ?? [null, null, null];
  const write = modelInput(CALLER, [null, channels, height, width], preprocessing, "NCHW");
  const { id2label, _name_or_path: name } = model.config ?? {};
  const numClasses = Object.keys(id2label ?? {}).length;
  return {
    input: "array",
    ...(numClasses > 1 && { numClasses }),
    ...(typeof name === "string" && name !== "" && { name }),
    preprocessing: [preprocessing],
    fingerprint: JSON.stringify(["transformers", model.config ?? null, preprocessing]),
    imageOptions: probed?.imageOptions ?? {},
    async predict(batch, shape) {
      const { data, dims } = write(batch, shape, (length) => new Float32Array(length));
      const pixel_values = probed
        ? new probed.Tensor("float32", data, dims)
        : { type: "float32", data, dims };
      const { logits } = await model({ pixel_values });
      return readModelOutput(CALLER, logits, shape[0]!, options.binary);
    },
    dispose: async () => {},
  };
}

function settingsOf(processor: object): PixelSettings {
  const settings = partOf(processor) ?? processor;
  if ((typeof settings === "object" && settings !== null) || typeof settings === "function")
    return settings;
  throw new DmaeError(
    "argument",
    `${CALLER}: processor must be an image processor, got ${show(processor)}`,
  );
}

/** The image processor of a processor with several parts. */
const partOf = (processor: object): object | undefined =>
  (processor as { image_processor?: object } | null)?.image_processor;

/** What the processor does to pixels in [0, 1] after resizing. Its means are in the order red, green, blue. */
function pixelsOf(settings: PixelSettings): Preprocessing {
  const { do_rescale = true, rescale_factor = 1 / 255, do_normalize = false } = settings;
  const { image_mean = 0, image_std = 1, do_flip_channel_order = false } = settings;
  const inOrder = (values: number | readonly number[]) =>
    Array.isArray(values) && do_flip_channel_order ? [...values].reverse() : values;
  return {
    scale: do_rescale ? 255 * rescale_factor : 255,
    ...(do_normalize && { mean: inOrder(image_mean), std: inOrder(image_std) }),
    ...(do_flip_channel_order && { channels: "bgr" as const }),
  };
}

/** Nothing where the processor is an object of settings alone. */
async function probe(processor: object): Promise<Probed | undefined> {
  const callable = [processor, partOf(processor)].find((part) => typeof part === "function");
  if (!callable) return undefined;
  try {
    return await probeProcessor(callable as Parameters<typeof probeProcessor>[0]);
  } catch (cause) {
    if (DmaeError.isInstance(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError(
      "unsupported",
      `${CALLER}: the processor does more to an image than to resize, crop, rescale and normalise it: ${reason}`,
      {},
      { cause },
    );
  }
}

/** Throws where the processor's pixels are not those that its settings promise. */
function checkProbe({ pixel }: Probed, preprocessing: CheckedPreprocessing): void {
  const { scale, mean, std, channels } = preprocessing;
  const colour = channels === "bgr" ? [...PROBE].reverse() : PROBE;
  pixel.forEach((value, c) => {
    const input = (colour[c]! / 255) * scale;
    const expected = (input - (mean[c] ?? mean[0]!)) / (std[c] ?? std[0]!);
    if (Math.abs(value - expected) <= 1e-4 * Math.max(1, Math.abs(expected))) return;
    throw new DmaeError(
      "unsupported",
      `${CALLER}: the processor must make ${expected} of ${colour[c]} in channel ${c}, as its settings say, got ${value}`,
    );
  });
}

import { decodeSafetensors } from "@dmae/checkpoint";
import { DmaeError, type HostTensors } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { fromOnnx, type LoadedClassifier, type OnnxOptions } from "@dmae/smoothing-certify";
import type { ModelCard, ModelName } from "./card.ts";
import { catalogue } from "./catalogue.ts";
import { readVerified } from "./read-verified.ts";

/** A shipped classifier, ready for `certify`, with what it was made of. */
export interface PretrainedClassifier extends LoadedClassifier {
  /** Recipe, data, cost, certified accuracy, licence, checksums. */
  readonly card: ModelCard;
  /**
   * Parameters of the classifier, widened to float32, in the names of the official state dict; its network is
   * `card.training.finetuning.model`.
   */
  parameters(): Promise<HostTensors>;
  /** Parameters of the DMAE, encoder and decoder, widened to float32: what `robustFinetune` takes as `pretrained`. */
  autoencoder(): Promise<HostTensors>;
}

/** Options of {@link pretrained}: where it runs, as for `fromOnnx`. */
export type PretrainedOptions = Pick<OnnxOptions, "session" | "onnxruntime">;

const optionNames = { session: true, onnxruntime: true } satisfies OptionNames<PretrainedOptions>;

/**
 * Loads a classifier that comes with this package: the int8 `.onnx` that casts the votes of its log, run by
 * ONNX Runtime.
 *
 * @param name one of {@link ModelName}; its images are `[H, W, C]` in [0, 1], see `card.imageShape`
 * @param options `session` and `onnxruntime` as for `fromOnnx`
 * @returns dispose of it when done
 * @throws DmaeError "argument" for an unknown name, "file" for a damaged installation, "unsupported" without ONNX Runtime
 *
 * @example
 * ```ts
 * const classifier = await pretrained("fashion-mnist-cr-0.25");
 * const { prediction, radius } = await certify(classifier, image, { sigma: 0.25 });
 * ```
 */
export async function pretrained(
  name: ModelName,
  options: PretrainedOptions = {},
): Promise<PretrainedClassifier> {
  checkOptions("pretrained", options, optionNames);
  if (!Object.hasOwn(catalogue, name))
    throw new DmaeError(
      "argument",
      `pretrained: name must be one of ${Object.keys(catalogue).join(", ")}, got ${name}`,
    );
  const { card, ...urls } = catalogue[name];
  const bytes = await readVerified(urls.classifier, card.classifier);
  const classifier = await fromOnnx(bytes, options);
  const tensors = async (part: "parameters" | "autoencoder") =>
    decodeSafetensors(await readVerified(urls[part], card[part])).tensors;
  return {
    ...classifier,
    name: card.name,
    card,
    parameters: () => tensors("parameters"),
    autoencoder: () => tensors("autoencoder"),
  };
}

/** The cards of every shipped model, at each sigma the one with the largest average certified radius first. */
export const modelCards: readonly ModelCard[] = Object.values(catalogue).map(({ card }) => card);

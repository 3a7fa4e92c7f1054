import fashionMnistCr025 from "../files/fashion-mnist-cr-0.25/card.json" with { type: "json" };
import type { ModelCard, ModelName } from "./card.ts";

/** A model with the addresses of its files, written out so that bundlers find them. */
interface Entry {
  readonly card: ModelCard;
  readonly classifier: URL;
  readonly parameters: URL;
  readonly autoencoder: URL;
}

/** Every shipped model by name. */
export const catalogue = {
  "fashion-mnist-cr-0.25": {
    card: fashionMnistCr025 as unknown as ModelCard,
    classifier: new URL("../files/fashion-mnist-cr-0.25/classifier.onnx", import.meta.url),
    parameters: new URL("../files/fashion-mnist-cr-0.25/classifier.safetensors", import.meta.url),
    autoencoder: new URL("../files/fashion-mnist-cr-0.25/autoencoder.safetensors", import.meta.url),
  },
} as const satisfies Readonly<Record<ModelName, Entry>>;

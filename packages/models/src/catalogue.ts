import fashionMnistAdvCr025 from "../files/fashion-mnist-adv-cr-0.25/card.json" with {
  type: "json",
};
import fashionMnistAdvCr050 from "../files/fashion-mnist-adv-cr-0.50/card.json" with {
  type: "json",
};
import fashionMnistAdvCr100 from "../files/fashion-mnist-adv-cr-1.00/card.json" with {
  type: "json",
};
import fashionMnistCr025 from "../files/fashion-mnist-cr-0.25/card.json" with { type: "json" };
import type { ModelCard, ModelName } from "./card.ts";

/** A model with the addresses of its files, written out so that bundlers find them. */
interface Entry {
  readonly card: ModelCard;
  readonly classifier: URL;
  readonly parameters: URL;
  readonly autoencoder: URL;
}

/** The autoencoder that several models started from. */
const dmae = new URL(
  "../files/fashion-mnist-dmae-pretrain/autoencoder.safetensors",
  import.meta.url,
);

/** Every shipped model by name, at each sigma the one with the largest average certified radius first. */
export const catalogue = {
  "fashion-mnist-adv-cr-0.25": {
    card: fashionMnistAdvCr025 as unknown as ModelCard,
    classifier: new URL("../files/fashion-mnist-adv-cr-0.25/classifier.onnx", import.meta.url),
    parameters: new URL(
      "../files/fashion-mnist-adv-cr-0.25/classifier.safetensors",
      import.meta.url,
    ),
    autoencoder: dmae,
  },
  "fashion-mnist-cr-0.25": {
    card: fashionMnistCr025 as unknown as ModelCard,
    classifier: new URL("../files/fashion-mnist-cr-0.25/classifier.onnx", import.meta.url),
    parameters: new URL("../files/fashion-mnist-cr-0.25/classifier.safetensors", import.meta.url),
    autoencoder: new URL("../files/fashion-mnist-cr-0.25/autoencoder.safetensors", import.meta.url),
  },
  "fashion-mnist-adv-cr-0.50": {
    card: fashionMnistAdvCr050 as unknown as ModelCard,
    classifier: new URL("../files/fashion-mnist-adv-cr-0.50/classifier.onnx", import.meta.url),
    parameters: new URL(
      "../files/fashion-mnist-adv-cr-0.50/classifier.safetensors",
      import.meta.url,
    ),
    autoencoder: dmae,
  },
  "fashion-mnist-adv-cr-1.00": {
    card: fashionMnistAdvCr100 as unknown as ModelCard,
    classifier: new URL("../files/fashion-mnist-adv-cr-1.00/classifier.onnx", import.meta.url),
    parameters: new URL(
      "../files/fashion-mnist-adv-cr-1.00/classifier.safetensors",
      import.meta.url,
    ),
    autoencoder: dmae,
  },
} as const satisfies Readonly<Record<ModelName, Entry>>;

/** A file of a model. */
export interface ModelFile {
  /** Path from the model's folder. */
  readonly name: string;
  /** Length in bytes. */
  readonly bytes: number;
  /** SHA-256 of the bytes, hexadecimal. */
  readonly sha256: string;
}

/** Names of the shipped models. */
export type ModelName =
  | "fashion-mnist-cr-0.25"
  | "fashion-mnist-adv-cr-0.25"
  | "fashion-mnist-adv-cr-0.50"
  | "fashion-mnist-adv-cr-1.00";

/** The network of a classifier: what `createViT` of `@dmae/vit`, and the `model` of a recipe, take. */
export interface ModelConfig {
  /** Height and width of an image. */
  readonly inputSize: number;
  /** Height and width that the network resizes it to. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Normalisation of each channel, which the network does itself. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly epsilon: number;
  readonly numClasses: number;
  readonly globalPool: boolean;
}

/** What a model is, where it comes from and what it was certified to do. */
export interface ModelCard {
  /** Name for {@link pretrained}. */
  readonly name: ModelName;
  /** What it is, in one sentence. */
  readonly description: string;
  /** Standard deviation of the noise that it was trained for, in images in [0, 1]. */
  readonly sigma: number;
  /** Shape of an image, `[H, W, C]`, values in [0, 1]. */
  readonly imageShape: readonly [number, number, number];
  /** Names of the classes; the index is the class id. */
  readonly classNames: readonly string[];
  /** Training and test images. */
  readonly data: string;
  /** Licence of the files. */
  readonly license: string;
  /** How it was trained: the recipes as its runs recorded them. */
  readonly training: {
    /** The recipe of the encoder. */
    readonly pretraining: object;
    /** The recipe of the classifier. */
    readonly finetuning: { readonly model: ModelConfig };
    /** Time and machine. */
    readonly cost: string;
  };
  /** What the shipped int8 bytes achieve; computed from `log` by `averageCertifiedRadius` and `certifiedAccuracy`. */
  readonly certified: {
    /** Per-image results, a log of `certifyDataset`. */
    readonly log: string;
    /** Test images. */
    readonly images: number;
    /** Noisy copies of an image. */
    readonly n: number;
    /** Probability that a certificate is wrong, at most. */
    readonly alpha: number;
    /** Average certified radius; no confidence statement, only comparable at the same n and images. */
    readonly averageCertifiedRadius: number;
    /** Certified accuracy in percent by radius. */
    readonly accuracy: Readonly<Record<string, number>>;
  };
  /** The classifier in int8, opset 20: input `images` `[n, H, W, C]`, output `logits` `[n, K]`. */
  readonly classifier: ModelFile;
  /** Parameters of the classifier, float16. */
  readonly parameters: ModelFile;
  /** Parameters of the DMAE that it started from, encoder and decoder, float16. */
  readonly autoencoder: ModelFile;
}

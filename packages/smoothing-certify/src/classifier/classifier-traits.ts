import type { CheckedPreprocessing } from "./preprocessing.ts";

/** Settings that a classifier object may carry about itself. */
export interface ClassifierTraits {
  /** What the batch must be, whatever the caller's input was. */
  readonly input?: "tensor" | "array";
  /** The only batch size it takes; shorter batches are padded. */
  readonly fixedBatchSize?: number;
  /** Shape `[H, W, C]` of the images it takes, where they all have one: that of inputs that are bare arrays. */
  readonly imageShape?: readonly number[];
  /** Number of classes, where it is known beforehand. */
  readonly numClasses?: number;
  /** Parts of it that are known to mix the rows of a batch, each as a phrase for people. */
  readonly rowMixers?: readonly string[];
  /** Parts of it that are known to draw random numbers, each as a phrase for people. */
  readonly randomParts?: readonly string[];
  /** Its logits are counts of votes, which tell no more of a row than a class id does. */
  readonly votesOnly?: boolean;
  /** What it does to its input; scale, mean and std must suit the declared range of the images. */
  readonly preprocessing?: readonly CheckedPreprocessing[];
  /** Name for logs. */
  readonly name?: string;
  /**
   * What tells it from others of its name, e.g. a hash of its weights; part of the fingerprint in logs, which are
   * only continued and merged with the same one. The wrappers of this package set it.
   */
  readonly fingerprint?: string;
  /** SHA-256 of the model's file, hexadecimal; where weights lie in files of their own, of all of them together. */
  readonly sha256?: string;
}

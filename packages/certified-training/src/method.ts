import type { ApplyFunction, Params, Tensors } from "@dmae/nn";
import type * as tf from "@tensorflow/tfjs-core";

/** A batch of images, and what the host knows about this step. */
export interface MethodBatch {
  /** `[B, H, W, C]` float32 in [0, 1], clean. */
  readonly images: tf.Tensor;
  /**
   * `[B, K]` float32, one-hot or soft labels; `gaussian` and `consistency` take `[m * B, K]` as well. A term `-log p_y` of a
   * method is `-sum_c t_c log p_c` of soft labels t; where it needs the label itself, that is the class of the largest.
   */
  readonly targets: tf.Tensor;
  /** `[B, K]` float32: fixed predictions of another model, for `catRs`; zeros are allowed. */
  readonly softLabels?: tf.Tensor;
  /** The values of {@link TrainingMethod.schedule} in this epoch; what is missing has its final value. */
  readonly schedule?: Readonly<Record<string, tf.Tensor>>;
}

/** Every random number that a method uses. */
export interface MethodDraws {
  /** Standard normals `[m * B, H, W, C]`, the whole batch copy after copy; the method multiplies them by `sigma`. */
  readonly noise: tf.Tensor;
  /** Standard deviation of the noise: a number, or `[B]` float32. */
  readonly sigma: number | tf.Tensor;
  /** Uniform in [0, 1), `[B]`, for methods that list `"uniform"` in `draws`. */
  readonly uniform?: tf.Tensor;
  /** `catRs`: the number of copies that count, `[B]` float32, instead of a binomial drawn with `uniform`. */
  readonly counts?: tf.Tensor;
  /**
   * `smoothAdv`: standard normals `[steps, B, H, W, C]`, the step of an image whose gradient is exactly 0. By default
   * `noise` of the image is used, so that nothing more has to be drawn.
   */
  readonly directions?: tf.Tensor;
}

/** What {@link TrainingMethod.loss} returns; the caller disposes of it. */
export type MethodResult = {
  /** The scalar to minimise. */
  loss: tf.Tensor;
  /** Scalars to log: `trainLoss` as the official log has it, `accuracy` on the copies trained on, and parts of the loss. */
  metrics: Tensors;
  /** New running statistics after all training passes; empty for a model without. */
  updates: Tensors;
};

/** A method of robust training: the loss of one batch as a pure function, and what it has to be given. */
export interface TrainingMethod {
  /** The settings as plain JSON, among them the `name` of the method. */
  readonly settings: { readonly name: string; readonly [name: string]: unknown };
  /** Noisy copies of each image, m. */
  readonly copies: number;
  /** Training passes through the model in one step, each over m * B rows. */
  readonly passes: number;
  /** What it draws besides the noise. */
  readonly draws: readonly "uniform"[];
  /** Whether the batch must have soft labels. */
  readonly needsSoftLabels: boolean;
  /** Whether it takes targets for every copy, so that copies may be mixed with one another. */
  readonly mixable: boolean;
  /**
   * What changes from epoch to epoch: attack radii, weights that are switched on late.
   *
   * @param epoch from 0
   */
  schedule(epoch: number): Readonly<Record<string, number>>;
  /**
   * The loss, metrics to log and new running statistics.
   *
   * @throws DmaeError "shape" for a part of the batch or the draws that is missing or of another shape
   */
  loss(apply: ApplyFunction, params: Params, batch: MethodBatch, draws: MethodDraws): MethodResult;
}

/** A value of the schedule as a scalar, or its final value where the batch has none. */
export function scheduled(
  { schedule }: MethodBatch,
  name: string,
  fallback: number,
): tf.Tensor | number {
  return schedule?.[name] ?? fallback;
}

import "#gradients";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import * as tf from "@tensorflow/tfjs-core";

/** Which loss: see {@link consistencyLoss}. */
export type ConsistencyMode = "default" | "xent" | "kl" | "mse";

/** Weights and form of {@link consistencyLoss}. */
export interface ConsistencyOptions {
  /** Weight of the divergence, 0 or more. */
  readonly lambda: number;
  /** Weight of the entropy, 0 or more; used by "default" only. 0.5 by default. */
  readonly mu?: number | undefined;
  /** Form of the loss, "default" by default. */
  readonly mode?: ConsistencyMode | undefined;
}

const modes: readonly string[] = ["default", "xent", "kl", "mse"];

/**
 * Consistency regularisation of a smoothed classifier (Jeong & Shin 2020, arXiv:2006.04062): the
 * predictions p_1 … p_m for m noisy copies of an image are drawn to their mean p,
 *
 * - `"default"`: `lambda mean_i KL(p || p_i) + mu H(p)` (Eq. 6 there; the loss of DMAE),
 * - `"xent"`: `lambda (mean_i KL(p || p_i) + H(p))`, the mean cross entropy of the copies with p,
 * - `"kl"`: `lambda mean_i KL(p || p_i)`,
 * - `"mse"`: `lambda ||p_2 - p_1||^2`, of the first two copies,
 *
 * averaged over the images. The gradient flows through p too, as in the official code. Everything is
 * computed in log space with a gradient derived by hand, so it is finite for every finite logit; the
 * official code gives NaN where p underflows to 0 (logit gaps beyond 104). Rounding may leave a
 * divergence of (nearly) equal copies a little below 0, by about `1e-7 lambda`.
 *
 * @param logits `[m, B, C]` float32, or m tensors `[B, C]`; m >= 2
 * @returns a scalar; the caller disposes of it
 * @throws DmaeError "shape" for other shapes or m < 2, "argument" for an unknown mode or bad weights
 * @example
 * ```ts
 * const loss = consistencyLoss([logits1, logits2], { lambda: 2, mu: 0.5 });
 * ```
 */
export function consistencyLoss(
  logits: tf.Tensor | readonly tf.Tensor[],
  options: ConsistencyOptions,
): tf.Scalar {
  checkOptions("consistencyLoss", options, { lambda: true, mu: true, mode: true });
  const { lambda, mu = 0.5, mode = "default" } = options;
  check(lambda, mu, mode);
  return tf.tidy(() => {
    const copies = stack(logits);
    const weights =
      mode === "default" ? { lambda, mu } : { lambda, mu: mode === "xent" ? lambda : 0 };
    const rows = mode === "mse" ? squaredDistance(copies, lambda) : divergence(copies, weights);
    return tf.mean(rows) as tf.Scalar;
  });
}

function check(lambda: number, mu: number, mode: string): void {
  if (!modes.includes(mode))
    throw new DmaeError(
      "argument",
      `consistencyLoss: mode must be one of ${modes.join(", ")}, got "${mode}"`,
    );
  for (const [name, value] of Object.entries({ lambda, mu }))
    if (!(typeof value === "number" && value >= 0 && Math.fround(value) < Number.POSITIVE_INFINITY))
      throw new DmaeError(
        "argument",
        `consistencyLoss: ${name} must be 0 or more and finite in float32, got ${typeof value === "string" ? JSON.stringify(value) : value}`,
      );
}

/** The copies as one tensor `[m, B, C]`. */
function stack(logits: tf.Tensor | readonly tf.Tensor[]): tf.Tensor {
  const list = Array.isArray(logits) ? (logits as readonly tf.Tensor[]) : undefined;
  const shapes = list ? list.map((t) => `[${t.shape}]`) : [`[${(logits as tf.Tensor).shape}]`];
  const fits = list
    ? list.length >= 2 && list.every((t) => t.rank === 2 && `${t.shape}` === `${list[0]!.shape}`)
    : (logits as tf.Tensor).rank === 3 && (logits as tf.Tensor).shape[0]! >= 2;
  if (!fits)
    throw new DmaeError(
      "shape",
      `consistencyLoss: logits must be [m, B, C] or m tensors [B, C] with m >= 2, got ${shapes.join(", ")}`,
    );
  if (!list) return logits as tf.Tensor;
  return tf.reshape(tf.concat([...list], 0), [list.length, ...list[0]!.shape]);
}

/**
 * `lambda mean_i KL(p || p_i) + mu H(p)` for each row. With l_i = logSoftmax(z_i), L = log p and
 * u = lambda (L - mean_i l_i) - mu L:
 *
 *   value = sum_c p u,
 *   d/dz_i = (p_i (u - <p_i, u>) + lambda (p_i - p)) / m:
 *
 * the first part goes through the mean (constants in u fall out, as p_i sums to 1), the second
 * through l_i. Every factor is finite, and p_i = 0 wherever L is very negative.
 */
const divergence = (logits: tf.Tensor, weights: { lambda: number; mu: number }): tf.Tensor =>
  tf.customGrad((...args: unknown[]) => {
    const [z, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const { lambda, mu } = weights;
    const m = z.shape[0]!;
    const logs = tf.maximum(tf.logSoftmax(z), -1e30); // [m, B, C]
    const meanLog = tf.sub(tf.logSumExp(logs, 0), Math.log(m)); // log p, [B, C]
    const u = tf.sub(tf.mul(meanLog, lambda - mu), tf.mul(tf.mean(logs, 0), lambda));
    const mean = tf.exp(meanLog);
    save([logs, u, mean]);
    return {
      value: tf.sum(tf.mul(mean, u), 1),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [logs, u, mean] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
        const p = tf.exp(logs);
        const centred = tf.sub(u, tf.sum(tf.mul(p, u), 2, true));
        const both = tf.add(tf.mul(p, centred), tf.mul(tf.sub(p, mean), lambda));
        return tf.mul(both, tf.div(tf.reshape(dy, [1, -1, 1]), m));
      },
    };
  })(logits);

/** `lambda ||p_2 - p_1||^2` for each row. */
function squaredDistance(logits: tf.Tensor, lambda: number): tf.Tensor {
  const p = tf.softmax(tf.slice(logits, [0, 0, 0], [2, -1, -1]));
  const [first, second] = tf.split(p, 2, 0);
  const distance = tf.sum(tf.square(tf.sub(second!, first!)), 2); // [1, B]
  return tf.mul(distance, lambda);
}

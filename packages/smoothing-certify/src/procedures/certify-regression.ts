import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkNumbers, refuseOthers } from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import { prepareDense } from "../classifier/dense.ts";
import type { ImageInput } from "../classifier/image.ts";
import type { InDimension } from "../run/options.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import { type RegressionResult, regressionProcedure } from "./regression-procedure.ts";

/** Options of {@link certifyRegression}. */
export interface RegressionOptions extends Omit<SingleOptions, "numClasses"> {
  /** The l2 radius within which the bounds hold, in the units of the input, `> 0`. */
  readonly radius: number;
  /** Noisy samples; default 10,000. */
  readonly n?: number | undefined;
  /** Allowed probability that any of the bounds is wrong; default 0.001. */
  readonly alpha?: number | undefined;
  /** The quantile of the outputs that the smoothed model returns, in (0, 1); default 0.5, the median. */
  readonly quantile?: number | undefined;
}

const { numClasses: _, ...modelNames } = singleNames;
const names = {
  ...modelNames,
  radius: true,
  n: true,
  alpha: true,
  quantile: true,
} satisfies OptionNames<RegressionOptions>;

/**
 * Bounds the outputs of a smoothed regression model within a radius (median smoothing; Chiang et al. 2020,
 * arXiv:2007.03730). The smoothed model `h(x)` returns, output by output, the median of `f(x + e)`, e ~
 * N(0, sigma^2 I). With probability at least 1 - alpha over the noise,
 *
 *     lower[i] <= h(x + d)[i] <= upper[i]   for all outputs i and all d with |d|_2 <= radius.
 *
 * The bounds are order statistics of the outputs on noisy copies. Half of alpha goes to each side, and each
 * output gets an equal share of it (Bonferroni), so all bounds hold at once: for a box `[x1, y1, x2, y2]`
 * every smoothed box lies within `[lower[0], lower[1], upper[2], upper[3]]`.
 *
 * @param model function or model, as {@link Classifier}, that answers each row with the same number of
 *   finite or infinite numbers, `[n, …]`. A detector must bring its boxes to a fixed number and order first
 * @param x one input without batch dimension
 * @returns per output the sample's median, the bounds, and the ranks of the order statistics they are
 * @throws {DmaeError} "argument" also if n samples cannot bound anything at this radius; the message says how
 *   many can. "classifier" for NaN or rows of other lengths
 * @example
 * const { lower, upper } = await certifyRegression(detector, image, { sigma: 0.25, radius: 0.25 });
 */
export async function certifyRegression(
  model: Classifier,
  x: ImageInput,
  options: RegressionOptions,
): Promise<ResultOf<RegressionResult>> {
  const caller = "certifyRegression";
  checkOptions(caller, options, names);
  const { sigma, radius, n = 10_000, alpha = 0.001, quantile = 0.5 } = options;
  checkNumbers(caller, { sigma, radius, n, alpha, quantile });
  refuseOthers(caller, options, { distribution: "gaussian" });
  const start = (known: InDimension) =>
    regressionProcedure({ sigma, radius, n, alpha, quantile, ...known });
  return runOne(caller, model, x, options, start, prepareDense);
}

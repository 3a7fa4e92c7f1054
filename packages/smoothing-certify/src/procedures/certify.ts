import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkNumbers } from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import type { ImageInput } from "../classifier/image.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import { type BoundKind, certificateOf } from "../statistics/certificate.ts";
import type { Norm } from "../statistics/noises-and-norms.ts";
import { type CertifyResult, type CertifySettings, certifyProcedure } from "./certify-procedure.ts";

/** Options of {@link certify}. */
export interface CertifyOptions extends SingleOptions {
  /** Selection samples, which guess the class; default 100. */
  readonly n0?: number | undefined;
  /** Estimation samples, which bound its probability; default 10,000. */
  readonly n?: number | undefined;
  /** Allowed probability of a wrong certificate; default 0.001. */
  readonly alpha?: number | undefined;
  /**
   * `"one-class"` (default) is the published protocol; `"two-class"` bounds the runner-up as well, which
   * gives larger radii where the remaining votes are spread over several classes.
   */
  readonly bound?: BoundKind | undefined;
  /** Norm of the radius; default l2 for Gaussian noise, l1 for the others. */
  readonly norm?: Norm | undefined;
}

/** The names of {@link CertifyOptions}. */
export const certifyNames = {
  ...singleNames,
  n0: true,
  n: true,
  alpha: true,
  bound: true,
  norm: true,
} satisfies OptionNames<CertifyOptions>;

/**
 * Certifies the prediction of the smoothed classifier `g(x) = argmax_c P(f(x + e) = c)`, e ~
 * N(0, sigma^2 I), at one input (CERTIFY; Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918).
 *
 * With probability at least 1 - alpha over the noise, either the result abstains or g predicts
 * `prediction` at every input closer to x than `radius` in the norm asked for. By default that is l2 and the radius is
 * `sigma Phi^-1(pLower)` with the Clopper-Pearson bound `pLower`, as in the published protocol; bound and radius are rounded
 * down. There is no label in it: whether the prediction is right is another question.
 *
 * @param classifier function or model; see {@link Classifier}
 * @param x one input without batch dimension; noise is added to its numbers as they are
 * @returns prediction and radius, all votes, from which other bounds can be computed later, the seed
 *   of the noise, which gives the same votes again, and the shape that the radius is about
 * @throws {DmaeError} "argument" for values out of range, "classifier" for an answer that is none
 * @example
 * const { prediction, radius } = await certify(classify, image, { sigma: 0.25, n: 10_000 });
 */
export async function certify(
  classifier: Classifier,
  x: ImageInput,
  options: CertifyOptions,
): Promise<ResultOf<CertifyResult>> {
  checkOptions("certify", options, certifyNames);
  const settings = certifySettings("certify", options);
  return runOne("certify", classifier, x, options, (known) =>
    certifyProcedure({ ...settings, ...known }),
  );
}

/** Fills in the defaults of the published protocol and checks the numbers. */
export function certifySettings(caller: string, options: CertifyOptions): CertifySettings {
  const { sigma, n0 = 100, n = 10_000, alpha = 0.001, bound, distribution, norm } = options;
  checkNumbers(caller, { sigma, n0, n, alpha });
  const settings = { sigma, n0, n, alpha, bound, distribution, norm };
  certificateOf({ ...settings, dimension: 1 }, [1], [n]); // throws for what no certificate can have
  return settings;
}

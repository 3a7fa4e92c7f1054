import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import { checkInteger, checkNumbers, refuseOthers, show } from "../checks.ts";
import type { Classifier } from "../classifier/classifier.ts";
import { prepareDense } from "../classifier/dense.ts";
import type { ImageInput } from "../classifier/image.ts";
import type { InDimension } from "../run/options.ts";
import { type ResultOf, runOne, type SingleOptions, singleNames } from "../run/run-one.ts";
import type { CertifyOptions } from "./certify.ts";
import { aboveThreshold, type LogitsLayout, mostLikely } from "./component-decoders.ts";
import {
  type ComponentDecoder,
  type ComponentsResult,
  componentsProcedure,
} from "./components-procedure.ts";

/** Options that {@link certifySegmentation} and {@link certifyMultiLabel} share. */
export interface ComponentsOptions
  extends Omit<SingleOptions, "numClasses">,
    Pick<CertifyOptions, "n0" | "n"> {
  /** Allowed probability that any component's certificate is wrong; default 0.001. */
  readonly alpha?: number | undefined;
  /** Probability that a component's class must exceed, in [0.5, 1); default 0.75. It sets the radius. */
  readonly tau?: number | undefined;
}

/** Options of {@link certifySegmentation}. */
export interface SegmentationOptions extends ComponentsOptions {
  /** Number of classes of a component; needed. */
  readonly numClasses: number;
  /**
   * What the model returns: logits with the classes last, `[n, …components, classes]` (default), logits with
   * the classes first, `[n, classes, …components]`, as PyTorch and ONNX models do, or class ids.
   */
  readonly output?: LogitsLayout | undefined;
}

/** Options of {@link certifyMultiLabel}. */
export interface MultiLabelOptions extends ComponentsOptions {
  /** A label is present where its score is above this; default 0, for logits. 0.5 for probabilities. */
  readonly threshold?: number | undefined;
}

const { numClasses: _, ...modelNames } = singleNames;
const sharedNames = {
  ...modelNames,
  n0: true,
  n: true,
  alpha: true,
  tau: true,
} satisfies OptionNames<ComponentsOptions>;
const segmentationNames = {
  ...sharedNames,
  numClasses: true,
  output: true,
} satisfies OptionNames<SegmentationOptions>;
const multiLabelNames = {
  ...sharedNames,
  threshold: true,
} satisfies OptionNames<MultiLabelOptions>;

/**
 * Certifies the class of every component of a segmentation within one radius, where it can, and abstains on the
 * others (SegCertify; Fischer, Baader and Vechev 2021, arXiv:2107.00228).
 *
 * With probability at least 1 - alpha over the noise, every component that does not abstain has a class of
 * probability above tau under the noise, so that the smoothed segmentation gives it this class at every
 * input closer to x than `radius = sigma Phi^-1(tau)` in l2. The tests of all components are corrected for
 * together by Holm's method, which makes no assumption on how they depend on each other.
 *
 * @param model function or model, as {@link Classifier}, that returns what `output` says
 * @param x one input without batch dimension
 * @returns `predictions`, one for each component, -1 where it abstains; they share `radius`
 * @throws {DmaeError} "argument" also if not even unanimous votes of n samples could certify
 * @example
 * const { predictions, radius } = await certifySegmentation(segment, image, { sigma: 0.25, numClasses: 11 });
 */
export async function certifySegmentation(
  model: Classifier,
  x: ImageInput,
  options: SegmentationOptions,
): Promise<ResultOf<ComponentsResult>> {
  const caller = "certifySegmentation";
  checkOptions(caller, options, segmentationNames);
  const { numClasses, output = "logits" } = options;
  checkInteger(caller, "numClasses", numClasses, 2);
  const decoder = mostLikely(caller, numClasses, output);
  return certifyComponents(caller, model, x, options, decoder);
}

/**
 * Certifies for every label whether it is present, 1, or absent, 0, within one radius, and abstains on labels for
 * which the votes do not suffice: {@link certifySegmentation} with the labels as components of two classes.
 *
 * @param model function or model, as {@link Classifier}, that returns a score for each label, `[n, labels]`
 * @returns `predictions`, one for each label: 1, 0 or -1; they share `radius`
 * @throws {DmaeError} as {@link certifySegmentation}
 * @example
 * const { predictions } = await certifyMultiLabel(tagger, image, { sigma: 0.25, threshold: 0.5 });
 */
export async function certifyMultiLabel(
  model: Classifier,
  x: ImageInput,
  options: MultiLabelOptions,
): Promise<ResultOf<ComponentsResult>> {
  const caller = "certifyMultiLabel";
  checkOptions(caller, options, multiLabelNames);
  const { threshold = 0 } = options;
  if (!Number.isFinite(threshold))
    throw new DmaeError(
      "argument",
      `${caller}: threshold must be a finite number, got ${show(threshold)}`,
    );
  return certifyComponents(caller, model, x, options, aboveThreshold(threshold));
}

function certifyComponents(
  caller: string,
  model: Classifier,
  x: ImageInput,
  options: ComponentsOptions,
  decoder: ComponentDecoder,
): Promise<ResultOf<ComponentsResult>> {
  const { sigma, n0 = 100, n = 10_000, alpha = 0.001, tau = 0.75 } = options;
  checkNumbers(caller, { sigma, n0, n, alpha });
  if (!(typeof tau === "number" && tau >= 0.5 && tau < 1))
    throw new DmaeError("argument", `${caller}: tau must lie in [0.5, 1), got ${show(tau)}`);
  refuseOthers(caller, options, { distribution: "gaussian" });
  const start = (known: InDimension) => {
    checkReach(caller, n, alpha, tau + known.totalVariation);
    return componentsProcedure({ sigma, n0, n, alpha, tau, ...known }, decoder);
  };
  return runOne(caller, model, x, options, start, prepareDense);
}

/** Throws where not even unanimous votes could certify the one component that alpha favours most. */
function checkReach(caller: string, n: number, alpha: number, tau: number): void {
  const fewest = tau < 1 ? Math.ceil(Math.log(alpha) / Math.log(tau)) : Number.POSITIVE_INFINITY;
  if (n >= fewest) return;
  throw new DmaeError(
    "argument",
    `${caller}: ${n} samples cannot certify tau ${tau} at alpha ${alpha}, even if all agree; it takes ${fewest}, and more for several components`,
    { samples: n, fewest },
  );
}

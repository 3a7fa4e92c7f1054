import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkInteger, checkPositive, checkProbability, show } from "../checks.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import { normalQuantile } from "./normal.ts";
import { finiteDown, roundedDown } from "./radius.ts";

/** Norms in which a radius is measured. */
export type Norm = "l1" | "l2" | "linf";

/** The norm in which a radius is where none is asked for. */
export const usualNorm = (distribution: NoiseDistribution = "gaussian"): Norm =>
  distribution === "gaussian" ? "l2" : "l1";

/** What a radius is computed from. */
export interface NormRadiusOptions {
  /** Lower bound on the probability of the class under noise, in [0, 1]. */
  readonly pLower: number;
  /** Upper bound on the probability of every other class, in [0, 1]; default and at most `1 - pLower`. */
  readonly pUpper?: number | undefined;
  /** Standard deviation of the noise, in pixel units. */
  readonly sigma: number;
  /** Law of the noise; default `"gaussian"`. */
  readonly distribution?: NoiseDistribution | undefined;
  /** Norm of the perturbation. */
  readonly norm: Norm;
  /** Number of pixel values d; needed for every statement but l1 ones and that of Gaussian noise in l2. */
  readonly dimension?: number | undefined;
  /** Allows statements that are approximations, not certificates: Laplace noise in linf. Default false. */
  readonly approximate?: boolean | undefined;
}

/** A radius and what it is worth. */
export interface NormRadius {
  /** No perturbation of smaller norm changes the class; rounded down, 0 when abstaining. */
  readonly radius: number;
  /** Norm of the perturbation. */
  readonly norm: Norm;
  /** Whether the statement is a theorem; otherwise an approximation that certifies nothing. */
  readonly exact: boolean;
  /** Where the formula comes from. */
  readonly source: string;
}

interface Statement {
  readonly exact: boolean;
  readonly source: string;
  /** The radius at sigma = 1 for bounds `a` on the class and `b < a` on the others, and the dimension. */
  radius(a: number, b: number, dimension: number): number;
}

const theorem = (source: string, radius: Statement["radius"]): Statement => ({
  exact: true,
  source,
  radius,
});

/**
 * A difference of quantiles keeps the rounding of both, which is more than that of the difference where
 * they are close.
 */
const gaussianL2: Statement["radius"] = (a, b) => {
  const [high, low] = [normalQuantile(a), normalQuantile(b)];
  if (high === low) return 0;
  const rounding = 2 ** -48 * (Math.abs(high) + Math.abs(low));
  return (Number.isFinite(rounding) ? high - low - rounding : high - low) / 2;
};

/** Half-width of uniform noise is sqrt(3) sigma: a shift r costs each class at most r over the width. */
const uniformL1: Statement["radius"] = (a, b) => Math.sqrt(3) * (a - b);

const uniformLinf: Statement["radius"] = (a, b, d) =>
  2 * Math.sqrt(3) * -Math.expm1(Math.log1p(-(a - b) / 2) / d);

/** `ln(a / b)` for `0 <= b < a`; `a - b` is exact where they are close. */
function logRatio(a: number, b: number): number {
  if (a < 2 * b) return Math.log1p((a - b) / b);
  return b === 0 || a / b < Number.POSITIVE_INFINITY ? Math.log(a / b) : Math.log(a) - Math.log(b);
}

/** Scale of Laplace noise is sigma / sqrt(2): a shift r changes probabilities by e^(r / scale) at most. */
const laplaceL1: Statement["radius"] = (a, b) => {
  const ratio = logRatio(a, b);
  // 1 - a is exact where a - b, and so a, is at least 1/2
  const rest = a - b < 0.5 ? -Math.log1p(b - a) : -Math.log(1 - a + b);
  return Math.SQRT1_2 * Math.max(ratio / 2, rest);
};

const yang = "Yang et al. 2020, Randomized Smoothing of All Shapes and Sizes";
const teng = "Teng et al. 2019, l1 Adversarial Robustness Certificates, theorem 1";
const cohen = "Cohen, Rosenfeld and Kolter 2019, theorem 1";

const statements: Record<NoiseDistribution, Record<Norm, Statement>> = {
  gaussian: {
    l2: theorem(cohen, gaussianL2),
    l1: theorem(`${cohen}, and |v|_2 <= |v|_1`, gaussianL2),
    linf: theorem(
      `${cohen}, and |v|_2 <= sqrt(d) |v|_inf`,
      (a, b, d) => gaussianL2(a, b, d) / Math.sqrt(d),
    ),
  },
  uniform: {
    l1: theorem(`${yang}; Lee et al. 2019`, uniformL1),
    linf: theorem(yang, uniformLinf),
    l2: theorem(
      `${yang}, and |v|_1 <= sqrt(d) |v|_2`,
      (a, b, d) => uniformL1(a, b, d) / Math.sqrt(d),
    ),
  },
  laplace: {
    l1: theorem(teng, laplaceL1),
    linf: theorem(`${teng}, and |v|_1 <= d |v|_inf`, (a, b, d) => laplaceL1(a, b, d) / d),
    l2: theorem(
      `${teng}, and |v|_1 <= sqrt(d) |v|_2`,
      (a, b, d) => laplaceL1(a, b, d) / Math.sqrt(d),
    ),
  },
};

/** The central-limit approximation for many small changes; far above the theorem, and no certificate. */
const laplaceLinfApproximation: Statement = {
  exact: false,
  source: `${yang}; normal approximation of the likelihood ratio for large d`,
  radius: (a, b, d) => (Math.SQRT1_2 * gaussianL2(a, b, d)) / Math.sqrt(d),
};

/**
 * The radius in l1, l2 or linf that bounds on class probabilities give, for Gaussian, uniform and Laplace
 * noise of standard deviation `sigma` in each pixel. With `pB = 1 - pA`, half-width `a = sqrt(3) sigma` and
 * scale `b = sigma / sqrt(2)`:
 *
 * | noise | l1 | l2 | linf |
 * |---|---|---|---|
 * | Gaussian | `sigma Phi^-1(pA)` | `sigma Phi^-1(pA)` | `sigma Phi^-1(pA) / sqrt(d)` |
 * | uniform | `2 a (pA - 1/2)` | the same over `sqrt(d)` | `2 a (1 - (3/2 - pA)^(1/d))` |
 * | Laplace | `-b ln(2 (1 - pA))` | the same over `sqrt(d)` | the same over `d`; approximately `b Phi^-1(pA) / sqrt(d)` |
 *
 * All but the last entry are theorems (`exact`); a radius of each is computed in float64 and rounded down.
 *
 * @throws {DmaeError} "argument" for probabilities outside [0, 1], a bad sigma, norm, distribution or dimension
 * @example
 * radiusInNorm({ pLower: 0.99, sigma: 0.5, distribution: "uniform", norm: "l1" }).radius; // 0.848…
 */
export function radiusInNorm(options: NormRadiusOptions): NormRadius {
  checkOptions("radiusInNorm", options, {
    pLower: true,
    pUpper: true,
    sigma: true,
    distribution: true,
    norm: true,
    dimension: true,
    approximate: true,
  });
  const {
    pLower,
    pUpper = 1,
    sigma,
    distribution = "gaussian",
    norm,
    approximate = false,
  } = options;
  checkPositive("radiusInNorm", "sigma", sigma);
  checkProbability("radiusInNorm", "pLower", pLower);
  checkProbability("radiusInNorm", "pUpper", pUpper);
  const statement =
    approximate && distribution === "laplace" && norm === "linf"
      ? laplaceLinfApproximation
      : choose("norm", choose("distribution", statements, distribution), norm);
  const dimension = dimensionOf(options, distribution, norm);
  const rival = Math.min(pUpper, 1 - pLower);
  const exact = pLower <= rival ? 0 : sigma * statement.radius(pLower, rival, dimension);
  // without a rival, nothing but uniform noise ever reaches the class
  const radius = rival === 0 && distribution !== "uniform" ? roundedDown(exact) : finiteDown(exact);
  return { radius, norm, exact: statement.exact, source: statement.source };
}

function choose<T>(name: string, table: Record<string, T>, value: string): T {
  const found = Object.hasOwn(table, value) ? table[value] : undefined;
  if (found !== undefined) return found;
  throw new DmaeError(
    "argument",
    `radiusInNorm: ${name} must be one of ${Object.keys(table).join(", ")}, got ${show(value)}`,
  );
}

function dimensionOf(
  { dimension }: NormRadiusOptions,
  distribution: NoiseDistribution,
  norm: Norm,
): number {
  if (dimension !== undefined) checkInteger("radiusInNorm", "dimension", dimension);
  else if (norm === "linf" || (norm === "l2" && distribution !== "gaussian"))
    throw new DmaeError(
      "argument",
      `radiusInNorm: a radius of ${distribution} noise in ${norm} depends on the dimension; give the number of pixel values`,
    );
  return dimension ?? 1;
}

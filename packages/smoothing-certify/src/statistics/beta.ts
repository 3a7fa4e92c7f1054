import { deviance, stirlingError } from "./binomial.ts";

const LOG_TWO_PI = 1.8378770664093453;

/** `ln B(a, b)` for `a, b > 0`. */
export function logBeta(a: number, b: number): number {
  const n = a + b;
  return (
    stirlingError(a) +
    stirlingError(b) -
    stirlingError(n) +
    (a - 0.5) * Math.log1p(-b / n) +
    (b - 0.5) * Math.log1p(-a / n) -
    (Math.log(n) - LOG_TWO_PI) / 2
  );
}

/** `ln P(X <= x)` for X ~ Beta(a, b), `0 < x < 1`; about 1e-12 absolute. `y = 1 - x` may be given with all its digits. */
export function logBetaCdf(a: number, b: number, x: number, y = 1 - x): number {
  return x < (a + 1) / (a + b + 2) ? lowerTail(a, b, x, y) : complement(lowerTail(b, a, y, x));
}

/** `ln P(X > x)` for X ~ Beta(a, b), `0 < x < 1`. */
export function logBetaSurvival(a: number, b: number, x: number): number {
  return x < (a + 1) / (a + b + 2)
    ? complement(lowerTail(a, b, x, 1 - x))
    : lowerTail(b, a, 1 - x, x);
}

function complement(logP: number): number {
  return logP > -0.7 ? Math.log(-Math.expm1(logP)) : Math.log1p(-Math.exp(logP));
}

/** The regularized incomplete beta function below its mean: prefactor times continued fraction. */
function lowerTail(a: number, b: number, x: number, y: number): number {
  const n = a + b;
  // x^a y^b / (a B(a, b)), with the large terms of the powers and of B taken together
  const prefactor =
    stirlingError(n) -
    stirlingError(a) -
    stirlingError(b) -
    deviance(a, n * x) -
    deviance(b, n * y) +
    (Math.log(b / n / a) - LOG_TWO_PI) / 2;
  return prefactor + Math.log(continuedFraction(a, b, x, y));
}

/**
 * DLMF 8.17.22 by the modified Lentz method, two terms in one (Didonato and Morris 1992, ACM TOMS 18, formula 9):
 * so nothing cancels where x is next to 1.
 */
function continuedFraction(a: number, b: number, x: number, y: number): number {
  const tiny = 1e-300;
  const denominator = (m: number) =>
    m +
    (m * (b - m) * x) / (a + 2 * m - 1) +
    ((a + m) * (a * y - b * x + 1 + m * (1 + y))) / (a + 2 * m + 1);
  let value = (a * (a * y - b * x + 1)) / (a + 1) || tiny;
  let c = value;
  let d = 0;
  for (let m = 1; m < 100_000; m++) {
    const step = x / (a + 2 * m - 1);
    const numerator = (a + m - 1) * (a + b + m - 1) * m * (b - m) * step * step;
    d = 1 / (denominator(m) + numerator * d || tiny);
    c = denominator(m) + numerator / c || tiny;
    const change = c * d;
    value *= change;
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return a / value;
}

import jStat from "jstat";

const LOG_ROOT_TWO_PI = 0.9189385332046728; // ln(sqrt(2 pi))
const ROOT_TWO_PI = 2.5066282746310002;

/** The standard normal density. The square is split so that `exp` sees an exact argument first. */
export function normalDensity(x: number): number {
  const coarse = Math.trunc(x * 16) / 16;
  const rest = ((x - coarse) * (x + coarse)) / 2;
  return (Math.exp((-coarse * coarse) / 2) * Math.exp(-rest)) / ROOT_TWO_PI;
}

/**
 * The standard normal distribution function `Phi(x)`, in float64; relative error below 1e-13 in
 * the lower tail as well.
 */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x <= -1) return upperTail(-x);
  if (x < 1) return 0.5 + centralMass(x);
  return 1 - upperTail(x);
}

/**
 * The standard normal quantile `Phi^-1(p)`, in float64, to about 1e-15 relative for every p in
 * (0, 1), tails and centre included. `-Infinity` at 0, `Infinity` at 1, NaN outside [0, 1].
 *
 * jStat's inverse is the starting point in the centre; beyond 1 - 1e-9 it loses its digits, so the
 * tails start from the asymptotic expansion. Both are polished by Newton's method.
 */
export function normalQuantile(p: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 0) return Number.NEGATIVE_INFINITY;
  if (p === 1) return Number.POSITIVE_INFINITY;
  if (p < 0.16) return -upperQuantile(p);
  if (p > 0.84) return upperQuantile(1 - p); // 1 - p is exact here
  return centralQuantile(p);
}

/** `P(Z > x)` for `x >= 1`; 0 once it is below the smallest number. */
function upperTail(x: number): number {
  if (x > 39) return 0;
  return normalDensity(x) * millsRatio(x);
}

/** `P(Z > x) / density(x)` by Laplace's continued fraction, for `x >= 0.9`. */
function millsRatio(x: number): number {
  const terms = 40 + Math.ceil(400 / (x * x));
  let tail = x;
  for (let k = terms; k >= 1; k--) tail = x + k / tail;
  return 1 / tail;
}

/** `Phi(x) - 1/2` for small |x|, by the series with terms of one sign. */
function centralMass(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 3; Math.abs(term) > 1e-18 * Math.abs(sum); k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return sum * normalDensity(x);
}

/** Solves `P(Z > x) = q` for `q < 0.17`, in logarithms so that no q is too small. */
function upperQuantile(q: number): number {
  const target = Math.log(q);
  const twice = -2 * (target + LOG_ROOT_TWO_PI);
  let x = twice > 3 ? Math.sqrt(twice - Math.log(twice)) : 1;
  for (let step = 0; step < 20; step++) {
    const ratio = millsRatio(Math.max(x, 0.9));
    const difference = Math.log(ratio) - LOG_ROOT_TWO_PI - (x * x) / 2 - target;
    const next = x + difference * ratio;
    if (Math.abs(next - x) <= 1e-16 * x) return next;
    x = next;
  }
  return x;
}

function centralQuantile(p: number): number {
  const target = p - 0.5;
  let x = jStat.normal.inv(p, 0, 1);
  for (let step = 0; step < 3; step++) x -= (centralMass(x) - target) / normalDensity(x);
  return x;
}

import { DmaeError } from "@dmae/core";
import { checkPositive, show } from "../checks.ts";
import { logBeta, logBetaCdf } from "./beta.ts";
import { normalQuantile } from "./normal.ts";

/**
 * The quantile of Student's t distribution, `1/2 < p < 1`, about 1e-13 relative. Newton's method on
 * `ln P(T > t)` over `ln t`, which is concave and falls: after its first step from the normal quantile, which
 * lies below, it comes down to the root.
 *
 * @param p between 1/2 and 1, e.g. 0.975 for a two-sided interval of 95 %
 * @param degreesOfFreedom above 0, whole or not
 */
export function studentQuantile(p: number, degreesOfFreedom: number): number {
  if (!(p > 0.5 && p < 1))
    throw new DmaeError("argument", `studentQuantile: p must lie in (1/2, 1), got ${show(p)}`);
  checkPositive("studentQuantile", "degreesOfFreedom", degreesOfFreedom);
  const df = degreesOfFreedom;
  const goal = Math.log(2 * (1 - p));
  const logDensityAtZero = -logBeta(0.5, df / 2) - Math.log(df) / 2;
  let t = normalQuantile(p);
  for (let step = 0; step < 100; step++) {
    const square = t * t;
    // P(|T| > t) = I_x(df / 2, 1 / 2) at x = df / (df + t^2)
    const logTail = logBetaCdf(df / 2, 0.5, df / (df + square), square / (df + square));
    const logDensity = logDensityAtZero - ((df + 1) / 2) * Math.log1p(square / df);
    const change = (logTail - goal) / (2 * t * Math.exp(logDensity - logTail));
    t *= Math.exp(change);
    if (Math.abs(change) < 1e-14) break;
  }
  return t;
}

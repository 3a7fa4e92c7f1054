import type { FloatArray } from "@dmae/core";
import type { Range } from "../../classifier/range.ts";

/** Norms that an attack may be measured in. */
export type AttackNorm = "l2" | "linf";

/** The norm of `to - from`, rounded up. */
export function distance(from: FloatArray, to: FloatArray, norm: AttackNorm): number {
  let [sum, most] = [0, 0];
  for (let i = 0; i < from.length; i++) {
    const change = to[i]! - from[i]!;
    sum += change * change;
    most = Math.max(most, Math.abs(change));
  }
  const rounding = from.length * Number.EPSILON; // of a sum of so many squares
  return (norm === "l2" ? Math.sqrt(sum) : most) * (1 + 1e-12 + rounding);
}

/** The steepest direction for a gradient: of length 1 in l2, its sign in linf. */
export function steepest(gradient: Float64Array, norm: AttackNorm): Float64Array {
  if (norm === "linf") return gradient.map(Math.sign);
  const length = Math.sqrt(gradient.reduce((sum, v) => sum + v * v, 0));
  return length > 0 ? gradient.map((v) => v / length) : gradient;
}

/** `x + change` within the ball of that radius and within the range, as float32. */
export function moved(
  x: FloatArray,
  change: Float64Array,
  radius: number,
  norm: AttackNorm,
  [low, high]: Range,
): Float32Array {
  const length = Math.sqrt(change.reduce((sum, v) => sum + v * v, 0));
  const scale = norm === "l2" && length > radius ? radius / length : 1;
  const [least, most] = [-atMost(-low), atMost(high)];
  return Float32Array.from(x, (value, i) => {
    const limited =
      norm === "l2" ? change[i]! * scale : Math.max(-radius, Math.min(radius, change[i]!));
    return Math.max(least, Math.min(most, value + limited));
  });
}

/** A float32 of at most `value`, one or two steps below it where it is none itself. */
function atMost(value: number): number {
  const nearest = Math.fround(value);
  return nearest <= value
    ? nearest
    : Math.fround(nearest - Math.max(Math.abs(nearest) * 2 ** -23, 2 ** -149));
}

import { elements, isFoldable } from "./evaluate.ts";
import type { Value } from "./graph.ts";
import { refuseShape, shown } from "./refuse.ts";

/** TensorFlow.js checks shapes in its kernels, which tracing replaces: these are the rules they have. */

type Shape = readonly number[];

/** Two dimensions that meet must be equal, or one of them 1. */
export function requireBroadcast(a: Shape, b: Shape): void {
  for (let i = 1; i <= Math.min(a.length, b.length); i++) {
    const [x, y] = [a[a.length - i]!, b[b.length - i]!];
    if (x !== y && x !== 1 && y !== 1)
      refuseShape(
        `the shapes ${shown(a)} and ${shown(b)} do not broadcast: aligned at the last axis, ${x} meets ${y}; ` +
          "dimensions must be equal or 1",
      );
  }
}

/** The inner dimensions of a matrix product. */
export function requireProduct(a: Shape, b: Shape, transposeA: boolean, transposeB: boolean): void {
  const inner = a[a.length - (transposeA ? 2 : 1)];
  const other = b[b.length - (transposeB ? 1 : 2)];
  const flip = (t: boolean) => (t ? " transposed" : "");
  if (inner !== other)
    refuseShape(
      `the inner dimensions of ${shown(a)}${flip(transposeA)} and ${shown(b)}${flip(transposeB)} must be equal, ` +
        `got ${inner} and ${other}; transpose one of them?`,
    );
}

/** A block lies inside the value it is cut from. */
export function requireBlock(x: Shape, begin: Shape, size: Shape, steps: Shape): void {
  if (begin.length !== x.length || size.length !== x.length)
    refuseShape(
      `begin ${shown(begin)} and size ${shown(size)} need one number per axis of ${shown(x)}`,
    );
  x.forEach((length, i) => {
    if (size[i] === 0) return;
    const last = begin[i]! + (size[i]! - 1) * steps[i]!;
    if (Math.min(begin[i]!, last) < 0 || Math.max(begin[i]!, last) >= length)
      refuseShape(
        `the block from ${shown(begin)} of size ${shown(size)} leaves the shape ${shown(x)} along axis ${i}: ` +
          `it reaches ${begin[i]! + size[i]!}, the axis has ${length}`,
      );
  });
}

/** Sizes of parts are whole and fill the axis. */
export function requireParts(x: Shape, sizes: Shape, axis: number): void {
  const total = sizes.reduce((n, s) => n + s, 0);
  if (sizes.some((s) => !Number.isInteger(s) || s < 0) || total !== x[axis])
    refuseShape(
      `axis ${axis} of ${shown(x)} has ${x[axis]} entries, which parts of ${sizes.map((s) => Number(s.toFixed(3))).join(" + ")} ` +
        "do not fill; sizes must be whole numbers that add up to the axis",
    );
}

/** Values to be joined are alike but for the axis. */
export function requireJoinable(shapes: readonly Shape[], axis: number): void {
  const first = shapes[0]!;
  const odd = shapes.findIndex(
    (s) => s.length !== first.length || s.some((d, i) => i !== axis && d !== first[i]),
  );
  if (odd > 0)
    refuseShape(
      `tensor ${odd} of shape ${shown(shapes[odd]!)} does not fit tensor 0 of ${shown(first)}: ` +
        `all dimensions but that of axis ${axis} must be equal`,
    );
}

/** One pair of non-negative amounts per axis. */
export function requirePaddings(x: Shape, paddings: readonly Shape[]): void {
  const fits = paddings.length === x.length;
  if (!fits || paddings.some((p) => p.length !== 2 || p.some((n) => !Number.isInteger(n) || n < 0)))
    refuseShape(
      `paddings must be ${x.length} pairs of whole numbers from 0, one per axis of ${shown(x)}, got ${JSON.stringify(paddings)}`,
    );
}

/** Indices that are constants lie inside the axis. */
export function requireIndices(x: Shape, indices: Value, axis: number): void {
  if (!isFoldable(indices)) return;
  for (const index of elements(indices))
    if (Number(index) < 0 || Number(index) >= x[axis]!)
      refuseShape(
        `index ${index} lies outside axis ${axis} of ${shown(x)}; it must lie in [0, ${x[axis]! - 1}]`,
      );
}

/** The same for rows of indices, which address the first axes. */
export function requireIndexRows(x: Shape, indices: Value): void {
  const depth = indices.shape.at(-1) ?? 1;
  if (depth > x.length)
    refuseShape(`indices ${shown(indices.shape)} address ${depth} axes of ${shown(x)}`);
  if (!isFoldable(indices)) return;
  Array.from<number | bigint>(elements(indices)).forEach((index, i) => {
    const axis = i % depth;
    if (Number(index) < 0 || Number(index) >= x[axis]!)
      refuseShape(
        `index ${index} lies outside axis ${axis} of ${shown(x)}; it must lie in [0, ${x[axis]! - 1}]`,
      );
  });
}

/** Axes as non-negative numbers, each inside the rank. */
export function requireAxes(axes: readonly number[], rank: number): number[] {
  return axes.map((axis) => {
    if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
      refuseShape(
        `axis ${axis} does not exist in a tensor of rank ${rank}; axes lie in [${-rank}, ${rank - 1}]`,
      );
    return axis < 0 ? axis + rank : axis;
  });
}

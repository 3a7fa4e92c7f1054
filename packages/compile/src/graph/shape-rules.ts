import { elements, isFoldable } from "./evaluate.ts";
import { refuseShape, shown } from "./refuse.ts";
import { type Operand, sizeOf } from "./tensors.ts";

/** TensorFlow.js checks shapes in its kernels, which tracing replaces: these are the rules they have, and the shapes that follow. */

type Shape = readonly number[];

/** The shape of two operands broadcast against each other: two dimensions that meet must be equal, or one of them 1. */
export function broadcastShape(a: Shape, b: Shape): number[] {
  const shape: number[] = [];
  for (let i = 1; i <= Math.max(a.length, b.length); i++) {
    const [x, y] = [a[a.length - i] ?? 1, b[b.length - i] ?? 1];
    if (x !== y && x !== 1 && y !== 1)
      refuseShape(
        `the shapes ${shown(a)} and ${shown(b)} do not broadcast: aligned at the last axis, ${x} meets ${y}; ` +
          "dimensions must be equal or 1",
      );
    shape.unshift(x === 1 ? y : x);
  }
  return shape;
}

/** The shape of a matrix product, whose inner dimensions must be equal. */
export function productShape(a: Shape, b: Shape, transposeA: boolean, transposeB: boolean): Shape {
  const inner = a[a.length - (transposeA ? 2 : 1)];
  const other = b[b.length - (transposeB ? 1 : 2)];
  const flip = (t: boolean) => (t ? " transposed" : "");
  if (inner !== other)
    refuseShape(
      `the inner dimensions of ${shown(a)}${flip(transposeA)} and ${shown(b)}${flip(transposeB)} must be equal, ` +
        `got ${inner} and ${other}; transpose one of them?`,
    );
  const rows = a[a.length - (transposeA ? 1 : 2)]!;
  const columns = b[b.length - (transposeB ? 2 : 1)]!;
  return [...broadcastShape(a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

/** A shape without some axes, or with 1 in their place. */
export const reducedShape = (x: Shape, axes: Shape, keepDims: boolean): Shape =>
  x.flatMap((d, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [d]));

/** The target of a reshape, -1 worked out. */
export function reshapedShape(x: Shape, to: Shape): Shape {
  const rest = sizeOf(to.filter((d) => d !== -1));
  const shape = to.map((d) => (d === -1 ? sizeOf(x) / rest : d));
  if (sizeOf(shape) !== sizeOf(x))
    refuseShape(`the elements of ${shown(x)} do not fill ${shown(to)}`);
  return shape;
}

/** The shape of a strided block; ends may lie beyond the axis. */
export function slicedShape(
  x: Shape,
  starts: Shape,
  ends: Shape,
  axes: Shape,
  steps: Shape,
): Shape {
  const shape = [...x];
  axes.forEach((axis, i) => {
    const last = steps[i]! < 0 && ends[i]! < 0 ? -1 : Math.min(ends[i]!, x[axis]!);
    shape[axis] = Math.max(0, Math.ceil((last - starts[i]!) / steps[i]!));
  });
  return shape;
}

/** The shape of an Einstein sum; every letter of the equation stands for one size. */
export function einsumShape(shapes: readonly Shape[], equation: string): Shape {
  const [from, to] = equation.replace(/\s/g, "").split("->") as [string, string];
  const sizes = new Map<string, number>();
  for (const [i, letters] of from.split(",").entries())
    for (const [axis, letter] of [...letters].entries()) {
      const size = shapes[i]![axis];
      const known = sizes.get(letter) ?? size;
      if (size === undefined || size !== known || shapes[i]!.length !== letters.length)
        refuseShape(
          `operand ${i} of shape ${shown(shapes[i]!)} does not fit "${equation}": ` +
            `axis ${axis} has ${size ?? "no"} entries where ${known ?? "one"} are expected`,
        );
      sizes.set(letter, size!);
    }
  return [...to].map((letter) => sizes.get(letter)!);
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

/** The shape of joined values, which are alike but for the axis. */
export function joinedShape(shapes: readonly Shape[], axis: number): Shape {
  const first = shapes[0]!;
  const odd = shapes.findIndex(
    (s) => s.length !== first.length || s.some((d, i) => i !== axis && d !== first[i]),
  );
  if (odd > 0)
    refuseShape(
      `tensor ${odd} of shape ${shown(shapes[odd]!)} does not fit tensor 0 of ${shown(first)}: ` +
        `all dimensions but that of axis ${axis} must be equal`,
    );
  return first.map((d, i) => (i === axis ? shapes.reduce((n, s) => n + s[axis]!, 0) : d));
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
export function requireIndices(x: Shape, indices: Operand, axis: number): void {
  if (!isFoldable(indices)) return;
  for (const index of elements(indices))
    if (Number(index) < 0 || Number(index) >= x[axis]!)
      refuseShape(
        `index ${index} lies outside axis ${axis} of ${shown(x)}; it must lie in [0, ${x[axis]! - 1}]`,
      );
}

/** The same for rows of indices, which address the first axes. */
export function requireIndexRows(x: Shape, indices: Operand): void {
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

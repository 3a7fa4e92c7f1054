import { slice_util, util } from "@tensorflow/tfjs-core";
import {
  binary,
  cast,
  concat,
  expand,
  gather,
  pad,
  reshape,
  slice,
  split,
  transpose,
  where,
} from "../graph/build.ts";
import { type Graph, sameShape, sizeOf, type Value } from "../graph/graph.ts";
import { refuseShape, shown } from "../graph/refuse.ts";
import { broadcastShape, requireIndexRows } from "../graph/shape-rules.ts";
import { blocks } from "./blocks.ts";
import { converted } from "./dtypes.ts";
import { indexing } from "./indexing.ts";
import { type KernelAttributes, type Kernels, normalizeAxes } from "./register.ts";

const listed = (inputs: Record<string, Value>): Value[] => Object.values(inputs);

function pack(g: Graph, parts: Value[], axis: number): Value {
  const odd = parts.findIndex((v) => !sameShape(v.shape, parts[0]!.shape));
  if (odd > 0)
    refuseShape(
      `tensor ${odd} has the shape ${shown(parts[odd]!.shape)}, tensor 0 ${shown(parts[0]!.shape)}; all must be equal`,
    );
  const [at] = normalizeAxes(axis, parts[0]!.shape.length + 1);
  const shape = [...parts[0]!.shape];
  shape.splice(at!, 0, 1);
  return concat(
    g,
    parts.map((v) => reshape(g, v, shape)),
    at!,
  );
}

function unpack(g: Graph, x: Value, axis: number): Value[] {
  const [at] = normalizeAxes(axis, x.shape.length);
  const shape = x.shape.filter((_, i) => i !== at);
  const sizes = Array<number>(x.shape[at!]!).fill(1);
  return split(g, x, sizes, at!).map((v) => reshape(g, v, shape));
}

/** `x` repeated `repetitions[i]` times along axis i; axes of length 1 are broadcast. */
function tile(g: Graph, x: Value, repetitions: readonly number[]): Value {
  const shape = x.shape.map((d, i) => d * repetitions[i]!);
  if (x.shape.every((d, i) => d === 1 || repetitions[i] === 1)) return expand(g, x, shape);
  if (x.constant && x.splat) return g.splat(x.dtype, shape, x.constant[0]!);
  return g.add("Tile", [x, g.integers(repetitions)]);
}

function reverse(g: Graph, x: Value, axes: readonly number[]): Value {
  const begin = x.shape.map((d, i) => (axes.includes(i) ? d - 1 : 0));
  const steps = x.shape.map((_, i) => (axes.includes(i) ? -1 : 1));
  return slice(g, x, begin, x.shape, steps);
}

function stridedSlice(g: Graph, x: Value, attrs: KernelAttributes): Value {
  const info = slice_util.sliceInfo(
    [...x.shape],
    attrs.begin,
    attrs.end,
    attrs.strides,
    attrs.beginMask,
    attrs.endMask,
    attrs.ellipsisMask,
    attrs.newAxisMask,
    attrs.shrinkAxisMask,
  );
  const shape = slice_util.computeOutShape(info.begin, info.end, info.strides);
  const steps = info.strides as number[];
  return reshape(g, slice(g, x, info.begin, shape, steps), info.finalShape);
}

/** `tf.gather`, with leading batch dimensions that indices and values share. */
function gatherBatched(g: Graph, x: Value, indices: Value, axis: number, batchDims: number): Value {
  const [at] = normalizeAxes(axis, x.shape.length);
  if (batchDims === 0) return gather(g, x, indices, at!);
  const batch = x.shape.slice(0, batchDims);
  if (!sameShape(batch, indices.shape.slice(0, batchDims)) || batchDims > at!)
    refuseShape(
      `with batchDims ${batchDims} the first axes of values ${shown(x.shape)} and indices ${shown(indices.shape)} ` +
        `must be equal and come before axis ${at}`,
    );
  const middle = x.shape.slice(batchDims, at);
  const tail = x.shape.slice(at! + 1);
  const picked = indices.shape.slice(batchDims);
  const count = sizeOf(batch);
  const [m, n, t, k] = [sizeOf(middle), x.shape[at!]!, sizeOf(tail), sizeOf(picked)];
  // [b, m, n, t] gathered with [b, k] along n: rows of a table of b * m * n vectors of length t.
  const table = reshape(g, x, [count * m * n, t]);
  const rows = g.constant(
    "int32",
    [count, m, 1],
    Int32Array.from({ length: count * m }, (_, i) => i * n),
  );
  const flat = binary(g, "Add", rows, reshape(g, indices, [count, 1, k]));
  const result = gather(g, table, flat, 0);
  return reshape(g, result, [...batch, ...middle, ...picked, ...tail]);
}

function oneHot(g: Graph, indices: Value, attrs: KernelAttributes): Value {
  const { depth, onValue, offValue, dtype } = attrs;
  const classes = g.constant(
    "int32",
    [depth],
    Int32Array.from({ length: depth }, (_, i) => i),
  );
  const column = reshape(g, cast(g, indices, "int32"), [...indices.shape, 1]);
  const hit = binary(g, "Equal", column, classes);
  if (dtype === "bool" && onValue === 1 && offValue === 0) return hit;
  if (onValue === 1 && offValue === 0) return cast(g, hit, dtype);
  return where(g, hit, g.scalar(dtype, onValue), g.scalar(dtype, offValue));
}

/** Adds rows of `updates` into zeros of `shape` at `indices` (equal indices add up). */
export function scatterAdd(
  g: Graph,
  indices: Value,
  updates: Value,
  shape: readonly number[],
): Value {
  requireIndexRows(shape, indices);
  const inputs = [g.splat(updates.dtype, shape, 0), cast(g, indices, "int64"), updates];
  return g.add("ScatterND", inputs, { reduction: "add" });
}

function mirrorPad(g: Graph, x: Value, paddings: [number, number][], mode: string): Value {
  return paddings.reduce((value, [before, after], axis) => {
    const length = value.shape[axis]!;
    const offset = mode === "reflect" ? 0 : 1;
    const indices = Int32Array.from({ length: before + length + after }, (_, i) => {
      const at = i - before;
      if (at < 0) return -at - offset;
      return at < length ? at : 2 * length - 2 - at + offset;
    });
    if (before + after === 0) return value;
    return gather(g, value, g.constant("int32", [indices.length], indices), axis);
  }, x);
}

/** Kernels that move elements: shapes, blocks, indices. */
export const movement: Kernels = {
  Reshape: (g, { x }, { shape }) =>
    reshape(g, x!, util.inferFromImplicitShape(shape, sizeOf(x!.shape))),
  ExpandDims: (g, { input }, { dim }) => {
    const shape = [...input!.shape];
    shape.splice(dim < 0 ? shape.length + dim + 1 : dim, 0, 1);
    return reshape(g, input!, shape);
  },
  Transpose: (g, { x }, { perm }) => transpose(g, x!, perm),
  BroadcastTo: (g, { x }, { shape }) => expand(g, x!, broadcastShape(x!.shape, shape)),
  Concat: (g, inputs, { axis }) => {
    const parts = listed(inputs).map((v, _, [first]) => converted(g, v, first!.dtype));
    return concat(g, parts, normalizeAxes(axis, parts[0]!.shape.length)[0]!);
  },
  Pack: (g, inputs, { axis }) => pack(g, listed(inputs), axis),
  Unpack: (g, { value }, { axis }) => unpack(g, value!, axis),
  SplitV: (g, { x }, { numOrSizeSplits, axis }) => {
    const [at] = normalizeAxes(axis, x!.shape.length);
    const length = x!.shape[at!]!;
    const sizes: number[] =
      typeof numOrSizeSplits === "number"
        ? Array(numOrSizeSplits).fill(length / numOrSizeSplits)
        : numOrSizeSplits.map((s: number) =>
            s === -1
              ? length - numOrSizeSplits.reduce((n: number, d: number) => n + Math.max(d, 0), 0)
              : s,
          );
    return split(g, x!, sizes, at!);
  },
  Slice: (g, { x }, { begin, size }) => {
    const [start, extent] = slice_util.parseSliceParams(
      { shape: [...x!.shape] } as never,
      begin,
      size,
    );
    return slice(g, x!, start!, extent!);
  },
  StridedSlice: (g, { x }, attrs) => stridedSlice(g, x!, attrs),
  PadV2: (g, { x }, { paddings, constantValue }) => pad(g, x!, paddings, constantValue),
  MirrorPad: (g, { x }, { paddings, mode }) => mirrorPad(g, x!, paddings, mode),
  Tile: (g, { x }, { reps }) => tile(g, x!, reps),
  Reverse: (g, { x }, { dims }) =>
    reverse(g, x!, normalizeAxes(dims ?? x!.shape.map((_, i) => i), x!.shape.length)),
  GatherV2: (g, { x, indices }, { axis, batchDims }) =>
    gatherBatched(g, x!, indices!, axis, batchDims ?? 0),
  GatherNd: (g, { params, indices }) => {
    requireIndexRows(params!.shape, indices!);
    return g.add("GatherND", [params!, cast(g, indices!, "int64")]);
  },
  ScatterNd: (g, { indices, updates }, { shape }) => scatterAdd(g, indices!, updates!, shape),
  TensorScatterUpdate: (g, { tensor, indices, updates }) => {
    requireIndexRows(tensor!.shape, indices!);
    const inputs = [tensor!, cast(g, indices!, "int64"), updates!];
    return g.add("ScatterND", inputs, {});
  },
  UnsortedSegmentSum: (g, { x, segmentIds }, { numSegments }) =>
    scatterAdd(g, reshape(g, segmentIds!, [...segmentIds!.shape, 1]), cast(g, x!, "float32"), [
      numSegments,
      ...x!.shape.slice(segmentIds!.shape.length),
    ]),
  OneHot: (g, { indices }, attrs) => oneHot(g, indices!, attrs),
  Fill: (g, _, { shape, value, dtype }) =>
    g.splat(dtype ?? util.inferDtype(value), shape, value as number),
  Range: (g, _, { start, stop, step, dtype }) => {
    const count = Math.max(0, Math.ceil((stop - start) / step));
    const values = Array.from({ length: count }, (_, i) => start + i * step);
    return dtype === "int32"
      ? g.constant("int32", [count], Int32Array.from(values))
      : g.constant("float32", [count], Float32Array.from(values));
  },
  LinSpace: (g, _, { start, stop, num }) => {
    const step = num > 1 ? (stop - start) / (num - 1) : 0;
    return g.constant(
      "float32",
      [num],
      Float32Array.from({ length: num }, (_, i) => start + i * step),
    );
  },
  ...blocks,
  ...indexing,
  Diag: (g, { x }) => {
    const n = sizeOf(x!.shape);
    const eye = new Uint8Array(n * n);
    for (let i = 0; i < n; i++) eye[i * n + i] = 1;
    const row = reshape(g, x!, [1, n]);
    const square = where(g, g.constant("bool", [n, n], eye), row, g.scalar(x!.dtype, 0));
    return reshape(g, square, [...x!.shape, ...x!.shape]);
  },
};

import { cast, reshape, transpose } from "../graph/build.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { refuseShape, shown } from "../graph/refuse.ts";
import { throughFloats } from "./dtypes.ts";
import { images } from "./images.ts";
import type { Inputs, KernelAttributes, Kernels } from "./register.ts";

type Weights = (from: number, to: number, attrs: KernelAttributes) => Float32Array;

/** Where output pixel `i` lies in the input. */
function place(i: number, from: number, to: number, attrs: KernelAttributes): number {
  const aligned = attrs.alignCorners && to > 1;
  const scale = aligned ? (from - 1) / (to - 1) : from / to;
  return attrs.halfPixelCenters ? (i + 0.5) * scale - 0.5 : i * scale;
}

/** The matrix `[to, from]` of bilinear interpolation along one axis. */
const bilinear: Weights = (from, to, attrs) => {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = place(i, from, to, attrs);
    const low = Math.max(0, Math.floor(at));
    const high = Math.min(from - 1, Math.ceil(at));
    const weight = at - low;
    matrix[i * from + low]! += 1 - weight;
    matrix[i * from + high]! += weight;
  }
  return matrix;
};

/** The same for the nearest pixel. */
const nearest: Weights = (from, to, attrs) => {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const aligned = attrs.alignCorners && to > 1;
    const scale = aligned ? (from - 1) / (to - 1) : from / to;
    const at = attrs.halfPixelCenters ? scale * (i + 0.5) : scale * i;
    const pixel = attrs.alignCorners ? Math.round(at) : Math.floor(at);
    matrix[i * from + Math.max(0, Math.min(from - 1, pixel))] = 1;
  }
  return matrix;
};

/** Multiplies along height and width of `[B, H, W, C]` with `[to, from]` matrices, or their transposes. */
function separable(g: Graph, x: Value, rows: Value, columns: Value, transposed: boolean): Value {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const turn = (m: Value) => (transposed ? transpose(g, m, [1, 0]) : m);
  const [down, across] = [turn(rows), turn(columns)];
  const tall = down.shape[0]!;
  const wide = across.shape[0]!;
  const lines = reshape(g, x, [batch, height, width * channels]);
  const first = g.add("MatMul", [down, lines]);
  const pixels = reshape(g, first, [batch * tall, width, channels]);
  const second = g.add("MatMul", [across, pixels]);
  return reshape(g, second, [batch, tall, wide, channels]);
}

function interpolation(
  g: Graph,
  image: Value,
  to: readonly number[],
  weights: Weights,
  attrs: KernelAttributes,
) {
  const [, height, width] = image.shape as [number, number, number];
  const matrix = (from: number, size: number) =>
    g.constant("float32", [size, from], weights(from, size, attrs));
  return [matrix(height, to[0]!), matrix(width, to[1]!)] as const;
}

const resizeWith =
  (weights: Weights) =>
  (g: Graph, { images }: Inputs, attrs: KernelAttributes): Value => {
    const { size } = attrs as { size: number[] };
    if (!size.every((n) => Number.isInteger(n) && n > 0))
      refuseShape(`the new size must be whole numbers from 1, got ${shown(size)}`);
    const [rows, columns] = interpolation(g, images!, size, weights, attrs);
    return separable(g, cast(g, images!, "float32"), rows, columns, false);
  };

const gradientOf =
  (weights: Weights): Kernels[string] =>
  (g, { images, dy }, attrs) => {
    const size = dy!.shape.slice(1, 3);
    const [rows, columns] = interpolation(g, images!, size, weights, attrs);
    return separable(g, dy!, rows, columns, true);
  };

/** Resizing of images as products with constant matrices, so that gradients are the transposes. */
export const resize: Kernels = {
  ResizeBilinear: resizeWith(bilinear),
  ResizeBilinearGrad: gradientOf(bilinear),
  ResizeNearestNeighbor: throughFloats(resizeWith(nearest)),
  ResizeNearestNeighborGrad: gradientOf(nearest),
  ...images,
};

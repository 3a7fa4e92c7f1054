import { binary, cast, gather, like, reshape, slice, unary, where } from "../graph/build.ts";
import type { Graph, Value } from "../graph/graph.ts";
import type { KernelAttributes, Kernels } from "./register.ts";

const row = (g: Graph, length: number, step = 1) =>
  g.constant(
    "float32",
    [length],
    Float32Array.from({ length }, (_, i) => i * step),
  );

/** Where along one side of the image the pixels of each crop lie: `[boxes, count]`, in pixels. */
function positions(g: Graph, from: Value, to: Value, size: number, count: number): Value {
  const scaled = (v: Value, factor: number) => binary(g, "Mul", v, like(g, v, factor));
  if (count === 1) return scaled(binary(g, "Add", from, to), (size - 1) / 2);
  const extent = binary(g, "Sub", to, from);
  const steps = row(g, count, (size - 1) / (count - 1));
  return binary(g, "Add", scaled(from, size - 1), binary(g, "Mul", extent, steps));
}

/** How much every pixel of the image counts at the positions: `[boxes, count, size]`. */
function shares(g: Graph, at: Value, size: number, method: string): Value {
  const column = reshape(g, at, [...at.shape, 1]);
  const pixels = row(g, size);
  if (method === "nearest") {
    const closest = unary(g, "Floor", binary(g, "Add", column, like(g, column, 0.5)));
    return cast(g, binary(g, "Equal", closest, pixels), "float32");
  }
  const distance = unary(g, "Abs", binary(g, "Sub", column, pixels));
  return unary(g, "Relu", binary(g, "Sub", like(g, at, 1), distance));
}

function inside(g: Graph, at: Value, size: number, shape: readonly number[]): Value {
  const after = binary(g, "GreaterOrEqual", at, like(g, at, 0));
  const before = binary(g, "LessOrEqual", at, like(g, at, size - 1));
  return reshape(g, binary(g, "And", after, before), shape);
}

/**
 * Boxes `[y1, x1, y2, x2]` of images, resized: products with one matrix per box and side. The positions
 * are float32 here and float64 on the cpu backend.
 */
function cropAndResize(
  g: Graph,
  image: Value,
  boxes: Value,
  owners: Value,
  { cropSize, method, extrapolationValue }: KernelAttributes,
): Value {
  const [, height, width, channels] = image.shape as [number, number, number, number];
  const [tall, wide] = cropSize as [number, number];
  const count = boxes.shape[0]!;
  const edge = (i: number) => slice(g, boxes, [0, i], [count, 1]);
  const down = positions(g, edge(0), edge(2), height, tall);
  const across = positions(g, edge(1), edge(3), width, wide);
  const lines = reshape(g, gather(g, image, owners, 0), [count, height, width * channels]);
  const rows = g.add("MatMul", [shares(g, down, height, method), lines]);
  const crops = g.add("MatMul", [
    reshape(g, shares(g, across, width, method), [count, 1, wide, width]),
    reshape(g, rows, [count, tall, width, channels]),
  ]);
  const known = binary(
    g,
    "And",
    inside(g, down, height, [count, tall, 1, 1]),
    inside(g, across, width, [count, 1, wide, 1]),
  );
  return where(g, known, crops, like(g, crops, extrapolationValue));
}

/** Crops of images. */
export const cropping: Kernels = {
  CropAndResize: (g, { image, boxes, boxInd }, attrs) =>
    cropAndResize(g, image!, boxes!, boxInd!, attrs),
};

import { binary, like } from "../graph/build.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { throughFloats } from "./dtypes.ts";
import type { KernelAttributes, Kernels } from "./register.ts";

/** For every channel the sum of `x` over the channels within the radius; a symmetric matrix product. */
function neighbours(g: Graph, x: Value, { depthRadius }: KernelAttributes): Value {
  const channels = x.shape.at(-1)!;
  const band = new Float32Array(channels * channels);
  for (let i = 0; i < channels; i++)
    for (let j = 0; j < channels; j++)
      if (Math.abs(i - j) <= depthRadius) band[i * channels + j] = 1;
  const matrix = g.constant("float32", [channels, channels], band);
  return g.add("MatMul", [x, matrix]);
}

const times = (g: Graph, x: Value, factor: Value | number) =>
  binary(g, "Mul", x, typeof factor === "number" ? like(g, x, factor) : factor);

/** bias + alpha * (squares within the radius). */
function base(g: Graph, x: Value, attrs: KernelAttributes): Value {
  const sums = times(g, neighbours(g, times(g, x, x), attrs), attrs.alpha);
  return binary(g, "Add", sums, like(g, x, attrs.bias));
}

/** dx = dy base^-beta - 2 alpha beta x (y dy / base within the radius). */
function gradient(g: Graph, x: Value, y: Value, dy: Value, attrs: KernelAttributes): Value {
  const norm = base(g, x, attrs);
  const direct = binary(g, "Div", dy, binary(g, "Pow", norm, like(g, x, attrs.beta)));
  const spread = neighbours(g, binary(g, "Div", times(g, y, dy), norm), attrs);
  const through = times(g, times(g, x, spread), 2 * attrs.alpha * attrs.beta);
  return binary(g, "Sub", direct, through);
}

/** Local response normalisation over the last axis, written out. */
export const localResponse: Kernels = {
  LRN: throughFloats((g, { x }, attrs) =>
    binary(g, "Div", x!, binary(g, "Pow", base(g, x!, attrs), like(g, x!, attrs.beta))),
  ),
  LRNGrad: (g, { x, y, dy }, attrs) => gradient(g, x!, y!, dy!, attrs),
};

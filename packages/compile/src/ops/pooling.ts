import { binary, cast, reshape, transpose } from "../graph/build.ts";
import { type Graph, sizeOf, type Value } from "../graph/graph.ts";
import { throughFloats } from "./dtypes.ts";
import { scatterAdd } from "./movement.ts";
import type { KernelAttributes, Kernels, Translate } from "./register.ts";
import {
  isWhole,
  leftOver,
  poolingWindow,
  reached,
  requireGradient,
  unreached,
  type Window,
  wholeWindow,
  windowAttributes,
} from "./window.ts";

const toFirst = (g: Graph, x: Value) => transpose(g, x, [0, 3, 1, 2]);
const fromFirst = (g: Graph, x: Value) => transpose(g, x, [0, 2, 3, 1]);

function pool(
  g: Graph,
  op: "MaxPool" | "AveragePool",
  x: Value,
  window: Window,
  count: 1 | 2,
): Value[] {
  const { info } = window;
  const { pads, strides } = windowAttributes(window);
  const attributes = { kernel_shape: [info.filterHeight, info.filterWidth], pads, strides };
  return g.addAll(op, [toFirst(g, reached(g, x, window))], attributes, count);
}

const pooling2d = (op: "MaxPool" | "AveragePool"): Translate =>
  throughFloats((g, { x }, attrs) => {
    const window = poolingWindow(x!, attrs);
    if (op === "MaxPool" && isWhole(window, x!) && !attrs.lowered)
      return wholeWindow(g, "dmae:MaxPool", [x!], window, window.info.outShape);
    return fromFirst(g, pool(g, op, x!, window, 1)[0]!);
  });

/** dy goes back to where the maximum was found; windows that overlap add up. */
function maxPoolGradient(g: Graph, dy: Value, x: Value, attrs: KernelAttributes): Value {
  const window = poolingWindow(x, attrs);
  requireGradient(dy, window);
  if (isWhole(window, x) && !attrs.lowered) {
    // The result too: the kernel compares with it. It is there already, from the forward pass.
    const y = wholeWindow(g, "dmae:MaxPool", [x], window, window.info.outShape);
    return wholeWindow(g, "dmae:MaxPoolGrad", [dy, x, y], window, x.shape);
  }
  const { batchSize, inChannels, inHeight, inWidth } = window.info;
  const [, indices] = pool(g, "MaxPool", x, window, 2);
  const shape = [batchSize, inChannels, inHeight, inWidth];
  const count = sizeOf(dy.shape);
  const flat = scatterAdd(
    g,
    reshape(g, indices!, [count, 1]),
    reshape(g, toFirst(g, dy), [count]),
    [sizeOf(shape)],
  );
  return unreached(g, fromFirst(g, reshape(g, flat, shape)), window);
}

/** Where in `[H, W, C]`, or in the whole batch, each maximum lies; ONNX counts in `[B, C, H, W]`. */
function maxPoolWithArgmax(g: Graph, x: Value, attrs: KernelAttributes): Value[] {
  const window = poolingWindow(x, attrs);
  const { batchSize, inWidth, inHeight } = window.info;
  const [, height, width, channels] = x.shape as [number, number, number, number];
  const [maxima, indices] = pool(g, "MaxPool", x, window, 2);
  const at = cast(g, fromFirst(g, indices!), "int32");
  const times = (v: Value, n: number) => binary(g, "Mul", v, g.scalar("int32", n));
  const plus = (v: Value, numbers: number[], shape: number[]) =>
    binary(g, "Add", v, g.constant("int32", shape, Int32Array.from(numbers)));
  const count = (n: number, step = 1) => Array.from({ length: n }, (_, i) => i * step);
  const inPlane = binary(g, "Mod", at, g.scalar("int32", inHeight * inWidth));
  const row = binary(g, "Div", inPlane, g.scalar("int32", inWidth));
  const column = binary(g, "Mod", inPlane, g.scalar("int32", inWidth));
  const pixel = times(binary(g, "Add", times(row, width), column), channels);
  const inImage = plus(pixel, count(channels), [channels]);
  const images = count(batchSize, height * width * channels);
  return [
    fromFirst(g, maxima!),
    attrs.includeBatchInIndex ? plus(inImage, images, [batchSize, 1, 1, 1]) : inImage,
  ];
}

/** As TensorFlow.js does it: every window hands out dy / (its full size), also at padded borders. */
function averagePoolGradient(g: Graph, dy: Value, x: Value, attrs: KernelAttributes): Value {
  const window = poolingWindow(x, attrs);
  requireGradient(dy, window);
  const { info } = window;
  const planes = info.batchSize * info.inChannels;
  const source = reshape(g, toFirst(g, dy), [planes, 1, info.outHeight, info.outWidth]);
  const area = info.filterHeight * info.filterWidth;
  const filter = g.splat("float32", [1, 1, info.filterHeight, info.filterWidth], 1 / area);
  const attributes = { ...windowAttributes(window), group: 1, output_padding: leftOver(window) };
  const spread = g.add("ConvTranspose", [source, filter], attributes);
  const shape = [info.batchSize, info.inChannels, info.inHeight, info.inWidth];
  return unreached(g, fromFirst(g, reshape(g, spread, shape)), window);
}

/** Pooling with its gradients. */
export const pooling: Kernels = {
  MaxPool: pooling2d("MaxPool"),
  MaxPoolGrad: (g, { dy, input }, attrs) => maxPoolGradient(g, dy!, input!, attrs),
  MaxPoolWithArgmax: (g, { x }, attrs) => maxPoolWithArgmax(g, x!, attrs),
  AvgPool: pooling2d("AveragePool"),
  AvgPoolGrad: (g, { dy, input }, attrs) => averagePoolGradient(g, dy!, input!, attrs),
};

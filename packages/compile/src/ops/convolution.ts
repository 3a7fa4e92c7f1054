import { backend_util } from "@tensorflow/tfjs-core";
import { binary, like, reshape, slice, transpose } from "../build.ts";
import { type Attributes, type Graph, type OutputSpec, sizeOf, type Value } from "../graph.ts";
import { activate } from "./contraction.ts";
import { scatterAdd } from "./movement.ts";
import type { KernelAttributes, Kernels } from "./register.ts";

type Convolution = backend_util.Conv2DInfo;
type Four = [number, number, number, number];

const shapeOf = (value: Value) => [...value.shape] as Four;

/** Channels last to channels first, which is ONNX's order; ONNX Runtime removes pairs of these. */
const toFirst = (g: Graph, x: Value, info: Convolution) =>
  info.dataFormat === "channelsLast" ? transpose(g, x, [0, 3, 1, 2]) : x;

const fromFirst = (g: Graph, x: Value, info: Convolution) =>
  info.dataFormat === "channelsLast" ? transpose(g, x, [0, 2, 3, 1]) : x;

function describe(
  inputShape: Four,
  filterShape: Four,
  attrs: KernelAttributes,
  depthwise: boolean,
): Convolution {
  return backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    depthwise,
    backend_util.convertConv2DDataFormat(attrs.dataFormat ?? "NHWC"),
  );
}

const windowAttributes = (info: Convolution): Record<string, readonly number[]> => ({
  dilations: [info.dilationHeight, info.dilationWidth],
  pads: [info.padInfo.top, info.padInfo.left, info.padInfo.bottom, info.padInfo.right],
  strides: [info.strideHeight, info.strideWidth],
});

function conv(g: Graph, x: Value, filter: Value, attributes: Attributes, shape: number[]): Value {
  return g.add("Conv", [x, filter], attributes, shape, x.dtype);
}

/** `[h, w, in, multiplier]` -> ONNX's `[out, in / group, h, w]`. */
function onnxFilter(g: Graph, filter: Value, depthwise: boolean): Value {
  if (!depthwise) return transpose(g, filter, [3, 2, 0, 1]);
  const [height, width, channels, multiplier] = shapeOf(filter);
  return reshape(g, transpose(g, filter, [2, 3, 0, 1]), [channels * multiplier, 1, height, width]);
}

function forward(
  g: Graph,
  x: Value,
  filter: Value,
  attrs: KernelAttributes,
  depthwise: boolean,
): Value {
  const info = describe(shapeOf(x), shapeOf(filter), attrs, depthwise);
  const group = depthwise ? info.inChannels : 1;
  const shape = [info.batchSize, info.outChannels, info.outHeight, info.outWidth];
  const attributes = { ...windowAttributes(info), group };
  const y = conv(g, toFirst(g, x, info), onnxFilter(g, filter, depthwise), attributes, shape);
  return fromFirst(g, y, info);
}

/** By the input: a transposed convolution; what the stride left over at the far side is padding. */
function inputGradient(
  g: Graph,
  dy: Value,
  filter: Value,
  attrs: KernelAttributes,
  depthwise: boolean,
): Value {
  const info = describe(attrs.inputShape, shapeOf(filter), attrs, depthwise);
  const { padInfo } = info;
  const rest = (size: number, out: number, stride: number, extent: number, pad: number) =>
    size - ((out - 1) * stride + extent - pad);
  const attributes = {
    ...windowAttributes(info),
    group: depthwise ? info.inChannels : 1,
    output_padding: [
      rest(
        info.inHeight,
        info.outHeight,
        info.strideHeight,
        info.effectiveFilterHeight,
        padInfo.top + padInfo.bottom,
      ),
      rest(
        info.inWidth,
        info.outWidth,
        info.strideWidth,
        info.effectiveFilterWidth,
        padInfo.left + padInfo.right,
      ),
    ],
  };
  const shape = [info.batchSize, info.inChannels, info.inHeight, info.inWidth];
  const inputs = [toFirst(g, dy, info), onnxFilter(g, filter, depthwise)];
  return fromFirst(g, g.add("ConvTranspose", inputs, attributes, shape, dy.dtype), info);
}

/** By the filter: a convolution of the input with dy as filter, images as channels, strides as dilations. */
function filterGradient(
  g: Graph,
  x: Value,
  dy: Value,
  attrs: KernelAttributes,
  depthwise: boolean,
): Value {
  const info = describe(shapeOf(x), attrs.filterShape, attrs, depthwise);
  const { batchSize: batch, inChannels, outChannels, padInfo } = info;
  const swapped = (v: Value) => transpose(g, toFirst(g, v, info), [1, 0, 2, 3]);
  const images = swapped(x); // [in, B, H, W]
  const weights = swapped(dy); // [out, B, h, w]
  const extent = (size: number, pad: number, out: number, stride: number, dilation: number) =>
    Math.floor((size + pad - (out - 1) * stride - 1) / dilation) + 1;
  const height = extent(
    info.inHeight,
    padInfo.top + padInfo.bottom,
    info.outHeight,
    info.strideHeight,
    info.dilationHeight,
  );
  const width = extent(
    info.inWidth,
    padInfo.left + padInfo.right,
    info.outWidth,
    info.strideWidth,
    info.dilationWidth,
  );
  const window = windowAttributes(info);
  const attributes = {
    dilations: window.strides!,
    strides: window.dilations!,
    pads: window.pads!,
    group: depthwise ? inChannels : 1,
  };
  const source = depthwise
    ? reshape(g, images, [1, inChannels * batch, info.inHeight, info.inWidth])
    : images;
  const shape = depthwise
    ? [1, outChannels, height, width]
    : [inChannels, outChannels, height, width];
  const whole = conv(g, source, weights, attributes, shape);
  const size = [shape[0]!, shape[1]!, info.filterHeight, info.filterWidth];
  const gradient = slice(g, whole, [0, 0, 0, 0], size);
  if (!depthwise) return transpose(g, gradient, [2, 3, 0, 1]);
  const multiplier = outChannels / inChannels;
  const apart = reshape(g, gradient, [inChannels, multiplier, info.filterHeight, info.filterWidth]);
  return transpose(g, apart, [2, 3, 0, 1]);
}

function poolInfo(x: Value, attrs: KernelAttributes): Convolution {
  return backend_util.computePool2DInfo(
    shapeOf(x),
    attrs.filterSize,
    attrs.strides,
    1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
}

function pool(
  g: Graph,
  op: "MaxPool" | "AveragePool",
  x: Value,
  info: Convolution,
  outputs: readonly OutputSpec["dtype"][],
): Value[] {
  const shape = [info.batchSize, info.inChannels, info.outHeight, info.outWidth];
  const { pads, strides } = windowAttributes(info);
  const attributes = {
    kernel_shape: [info.filterHeight, info.filterWidth],
    pads: pads!,
    strides: strides!,
  };
  const specs = outputs.map((dtype) => ({ shape, dtype }));
  return g.addNode(op, [toFirst(g, x, info)], attributes, specs);
}

/** dy goes back to where the maximum was found; windows that overlap add up. */
function maxPoolGradient(g: Graph, dy: Value, x: Value, attrs: KernelAttributes): Value {
  const info = poolInfo(x, attrs);
  const [, indices] = pool(g, "MaxPool", x, info, ["float32", "int64"]);
  const size = sizeOf(x.shape);
  const count = sizeOf(dy.shape);
  const flat = scatterAdd(
    g,
    reshape(g, indices!, [count, 1]),
    reshape(g, toFirst(g, dy, info), [count]),
    [size],
  );
  const shape = [info.batchSize, info.inChannels, info.inHeight, info.inWidth];
  return fromFirst(g, reshape(g, flat, shape), info);
}

/** As TensorFlow.js does it: every window hands out dy / (its full size), also at padded borders. */
function averagePoolGradient(g: Graph, dy: Value, x: Value, attrs: KernelAttributes): Value {
  const info = poolInfo(x, attrs);
  const planes = info.batchSize * info.inChannels;
  const source = reshape(g, toFirst(g, dy, info), [planes, 1, info.outHeight, info.outWidth]);
  const area = info.filterHeight * info.filterWidth;
  const filter = g.constant(
    "float32",
    [1, 1, info.filterHeight, info.filterWidth],
    new Float32Array(area).fill(1 / area),
    null,
  );
  const { pads, strides } = windowAttributes(info);
  const { padInfo } = info;
  const output_padding = [
    info.inHeight -
      ((info.outHeight - 1) * info.strideHeight + info.filterHeight - padInfo.top - padInfo.bottom),
    info.inWidth -
      ((info.outWidth - 1) * info.strideWidth + info.filterWidth - padInfo.left - padInfo.right),
  ];
  const spread = g.add(
    "ConvTranspose",
    [source, filter],
    { dilations: [1, 1], group: 1, output_padding, pads: pads!, strides: strides! },
    [planes, 1, info.inHeight, info.inWidth],
    dy.dtype,
  );
  const shape = [info.batchSize, info.inChannels, info.inHeight, info.inWidth];
  return fromFirst(g, reshape(g, spread, shape), info);
}

function fused(
  g: Graph,
  inputs: Record<string, Value>,
  attrs: KernelAttributes,
  depthwise: boolean,
) {
  const { x, filter, bias, preluActivationWeights } = inputs;
  const y = forward(g, x!, filter!, attrs, depthwise);
  const channelsFirst = attrs.dataFormat === "NCHW" && bias && bias.shape.length === 1;
  const shaped = channelsFirst ? reshape(g, bias, [bias.shape[0]!, 1, 1]) : bias;
  const sum = shaped ? binary(g, "Add", y, shaped) : y;
  return activate(g, sum, attrs.activation, preluActivationWeights, attrs.leakyreluAlpha);
}

/** Local response normalisation over the last axis, written out. */
function localResponse(g: Graph, x: Value, attrs: KernelAttributes): Value {
  const { depthRadius, bias, alpha, beta } = attrs as {
    depthRadius: number;
    bias: number;
    alpha: number;
    beta: number;
  };
  const channels = x.shape.at(-1)!;
  const band = new Float32Array(channels * channels);
  for (let i = 0; i < channels; i++)
    for (let j = 0; j < channels; j++)
      if (Math.abs(i - j) <= depthRadius) band[i * channels + j] = 1;
  const squares = binary(g, "Mul", x, x);
  const matrix = g.constant("float32", [channels, channels], band);
  const sums = g.add("MatMul", [squares, matrix], {}, x.shape, x.dtype);
  const base = binary(g, "Add", binary(g, "Mul", sums, like(g, x, alpha)), like(g, x, bias));
  return binary(g, "Div", x, binary(g, "Pow", base, like(g, x, beta)));
}

/** Convolutions and pooling with their gradients. */
export const convolution: Kernels = {
  Conv2D: (g, { x, filter }, attrs) => forward(g, x!, filter!, attrs, false),
  Conv2DBackpropInput: (g, { dy, filter }, attrs) => inputGradient(g, dy!, filter!, attrs, false),
  Conv2DBackpropFilter: (g, { x, dy }, attrs) => filterGradient(g, x!, dy!, attrs, false),
  DepthwiseConv2dNative: (g, { x, filter }, attrs) => forward(g, x!, filter!, attrs, true),
  DepthwiseConv2dNativeBackpropInput: (g, { dy, filter }, attrs) =>
    inputGradient(g, dy!, filter!, attrs, true),
  DepthwiseConv2dNativeBackpropFilter: (g, { x, dy }, attrs) =>
    filterGradient(g, x!, dy!, attrs, true),
  FusedConv2D: (g, inputs, attrs) => fused(g, inputs, attrs, false),
  FusedDepthwiseConv2D: (g, inputs, attrs) => fused(g, inputs, attrs, true),
  MaxPool: (g, { x }, attrs) => {
    const info = poolInfo(x!, attrs);
    return fromFirst(g, pool(g, "MaxPool", x!, info, ["float32"])[0]!, info);
  },
  MaxPoolGrad: (g, { dy, input }, attrs) => maxPoolGradient(g, dy!, input!, attrs),
  AvgPool: (g, { x }, attrs) => {
    const info = poolInfo(x!, attrs);
    return fromFirst(g, pool(g, "AveragePool", x!, info, ["float32"])[0]!, info);
  },
  AvgPoolGrad: (g, { dy, input }, attrs) => averagePoolGradient(g, dy!, input!, attrs),
  LRN: (g, { x }, attrs) => localResponse(g, x!, attrs),
};

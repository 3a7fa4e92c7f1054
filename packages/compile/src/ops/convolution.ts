import type { backend_util } from "@tensorflow/tfjs-core";
import { binary, reshape, slice, transpose } from "../graph/build.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { activate } from "./contraction.ts";
import { localResponse } from "./local-response.ts";
import { pooling } from "./pooling.ts";
import type { KernelAttributes, Kernels } from "./register.ts";
import {
  convolutionWindow,
  isWhole,
  leftOver,
  reached,
  requireGradient,
  shapeOf,
  unreached,
  wholeWindow,
  windowAttributes,
} from "./window.ts";

type Convolution = backend_util.Conv2DInfo;

/** Channels last to channels first, which is ONNX's order; ONNX Runtime removes pairs of these. */
const toFirst = (g: Graph, x: Value, info: Convolution) =>
  info.dataFormat === "channelsLast" ? transpose(g, x, [0, 3, 1, 2]) : x;

const fromFirst = (g: Graph, x: Value, info: Convolution) =>
  info.dataFormat === "channelsLast" ? transpose(g, x, [0, 2, 3, 1]) : x;

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
  const window = convolutionWindow(shapeOf(x), shapeOf(filter), attrs, depthwise);
  const whole = isWhole(window, x) && !depthwise && !attrs.lowered;
  if (whole) return wholeWindow(g, "dmae:Convolution", [x, filter], window, window.info.outShape);
  const { info } = window;
  const group = depthwise ? info.inChannels : 1;
  const attributes = { ...windowAttributes(window), group };
  const source = toFirst(g, reached(g, x, window), info);
  return fromFirst(g, g.add("Conv", [source, onnxFilter(g, filter, depthwise)], attributes), info);
}

/** By the input: a transposed convolution. */
function inputGradient(
  g: Graph,
  dy: Value,
  filter: Value,
  attrs: KernelAttributes,
  depthwise: boolean,
): Value {
  const window = convolutionWindow(attrs.inputShape, shapeOf(filter), attrs, depthwise);
  requireGradient(dy, window);
  const whole = isWhole(window, dy) && !depthwise && !attrs.lowered;
  if (whole)
    return wholeWindow(g, "dmae:ConvolutionInputGrad", [dy, filter], window, attrs.inputShape);
  const { info } = window;
  const attributes = {
    ...windowAttributes(window),
    group: depthwise ? info.inChannels : 1,
    output_padding: leftOver(window),
  };
  const inputs = [toFirst(g, dy, info), onnxFilter(g, filter, depthwise)];
  const dx = fromFirst(g, g.add("ConvTranspose", inputs, attributes), info);
  return unreached(g, dx, window);
}

/** By the filter: a convolution of the input with dy as filter, images as channels, strides as dilations. */
function filterGradient(
  g: Graph,
  x: Value,
  dy: Value,
  attrs: KernelAttributes,
  depthwise: boolean,
): Value {
  const window = convolutionWindow(shapeOf(x), attrs.filterShape, attrs, depthwise);
  requireGradient(dy, window);
  const whole = isWhole(window, x) && !depthwise && !attrs.lowered;
  if (whole)
    return wholeWindow(g, "dmae:ConvolutionFilterGrad", [x, dy], window, attrs.filterShape);
  const { info } = window;
  const { batchSize: batch, inChannels, outChannels } = info;
  const swapped = (v: Value) => transpose(g, toFirst(g, v, info), [1, 0, 2, 3]);
  const images = swapped(reached(g, x, window)); // [in, B, H, W]
  const weights = swapped(dy); // [out, B, h, w]
  const { dilations, strides, pads } = windowAttributes(window);
  const attributes = {
    dilations: strides,
    strides: dilations,
    pads,
    group: depthwise ? inChannels : 1,
  };
  const source = depthwise
    ? reshape(g, images, [1, inChannels * batch, info.inHeight, info.inWidth])
    : images;
  const all = g.add("Conv", [source, weights], attributes);
  const size = [...all.shape.slice(0, 2), info.filterHeight, info.filterWidth];
  const gradient = slice(g, all, [0, 0, 0, 0], size);
  if (!depthwise) return transpose(g, gradient, [2, 3, 0, 1]);
  const multiplier = outChannels / inChannels;
  const apart = reshape(g, gradient, [inChannels, multiplier, info.filterHeight, info.filterWidth]);
  return transpose(g, apart, [2, 3, 0, 1]);
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
  ...pooling,
  ...localResponse,
};

import { backend_util } from "@tensorflow/tfjs-core";
import { pad, slice } from "../graph/build.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { refuseShape, refuseUnsupported, shown } from "../graph/refuse.ts";
import type { KernelAttributes } from "./register.ts";

type Convolution = backend_util.Conv2DInfo;
export type Four = [number, number, number, number];

export const shapeOf = (value: Value) => [...value.shape] as Four;

/**
 * A sliding window as TensorFlow.js lays it out. With numeric padding it takes the number of columns from
 * the filter's height and the stride along it, and with rounding up there are windows beyond the padding;
 * they read zeros. `info` has the padding that gives ONNX the same number of windows, and the size of the
 * input less the rows and columns (`cut`) that no window reaches.
 */
export interface Window {
  readonly info: Convolution;
  readonly cut: readonly [rows: number, columns: number];
}

/** The window of a convolution. */
export const convolutionWindow = (
  inputShape: Four,
  filterShape: Four,
  attrs: KernelAttributes,
  depthwise: boolean,
): Window =>
  fitted(
    backend_util.computeConv2DInfo(
      inputShape,
      filterShape,
      attrs.strides,
      attrs.dilations ?? 1,
      attrs.pad,
      attrs.dimRoundingMode,
      depthwise,
      backend_util.convertConv2DDataFormat(attrs.dataFormat ?? "NHWC"),
    ),
  );

/** The window of a pooling; all of it in the padding is undefined in ONNX. */
export function poolingWindow(x: Value, attrs: KernelAttributes): Window {
  const window = fitted(
    backend_util.computePool2DInfo(
      shapeOf(x),
      attrs.filterSize,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
    ),
  );
  const { padInfo, filterHeight, filterWidth } = window.info;
  if (
    Math.max(padInfo.top, padInfo.bottom) >= filterHeight ||
    Math.max(padInfo.left, padInfo.right) >= filterWidth
  )
    refuseUnsupported(
      `some windows of ${shown([filterHeight, filterWidth])} lie wholly in the padding ` +
        `(${padInfo.top} above, ${padInfo.bottom} below, ${padInfo.left} left, ${padInfo.right} right); ` +
        'pad less, or use "same" or "valid"',
    );
  return window;
}

function fitted(info: Convolution): Window {
  const { padInfo } = info;
  if (info.outHeight < 1 || info.outWidth < 1)
    refuseShape(
      `a window of ${shown([info.effectiveFilterHeight, info.effectiveFilterWidth])} does not fit into an image of ` +
        `${shown([info.inHeight, info.inWidth])}; use a larger image or "same" padding`,
    );
  const below = endPadding(
    info.inHeight,
    info.outHeight,
    info.strideHeight,
    info.effectiveFilterHeight,
    [padInfo.top, padInfo.bottom],
  );
  const right = endPadding(
    info.inWidth,
    info.outWidth,
    info.strideWidth,
    info.effectiveFilterWidth,
    [padInfo.left, padInfo.right],
  );
  return {
    cut: [below.cut, right.cut],
    info: {
      ...info,
      inHeight: info.inHeight - below.cut,
      inWidth: info.inWidth - right.cut,
      padInfo: { ...padInfo, bottom: below.padding, right: right.padding },
    },
  };
}

/** Padding and cut at the far side with which exactly `windows` fit. */
function endPadding(
  size: number,
  windows: number,
  stride: number,
  extent: number,
  [before, after]: readonly [number, number],
): { padding: number; cut: number } {
  if (Math.floor((size + before + after - extent) / stride) + 1 === windows)
    return { padding: after, cut: 0 };
  const missing = (windows - 1) * stride + extent - size - before;
  if (-missing >= size) refuseUnsupported("all windows lie in the padding; pad less");
  return { padding: Math.max(0, missing), cut: Math.max(0, -missing) };
}

const spatialAxes = ({ info }: Window) => (info.dataFormat === "channelsLast" ? [1, 2] : [2, 3]);

/** The part of the input that windows reach. */
export function reached(g: Graph, x: Value, window: Window): Value {
  const axes = spatialAxes(window);
  const size = x.shape.map((d, i) => d - (window.cut[axes.indexOf(i)] ?? 0));
  return slice(
    g,
    x,
    x.shape.map(() => 0),
    size,
  );
}

/** A gradient of {@link reached} as one of the whole input. */
export function unreached(g: Graph, dx: Value, window: Window): Value {
  const axes = spatialAxes(window);
  const paddings = dx.shape.map((_, i) => [0, window.cut[axes.indexOf(i)] ?? 0] as const);
  return pad(g, dx, paddings, 0);
}

/** The gradient that comes in must have the shape of the result. */
export function requireGradient(dy: Value, { info }: Window): void {
  if (info.outShape.some((d, i) => d !== dy.shape[i]))
    refuseShape(
      `values of ${shown(dy.shape)} are not the result of a window of ${shown([info.filterHeight, info.filterWidth])} ` +
        `on ${shown(info.inShape)}, which is ${shown(info.outShape)}; note that TensorFlow.js's gradients ` +
        "leave out dimRoundingMode",
    );
}

/** Padding, strides and dilations as ONNX has them. */
export const windowAttributes = ({ info }: Window) => ({
  dilations: [info.dilationHeight, info.dilationWidth],
  pads: [info.padInfo.top, info.padInfo.left, info.padInfo.bottom, info.padInfo.right],
  strides: [info.strideHeight, info.strideWidth],
});

/** What the strides leave over at the far side: padding of the transposed convolution's result. */
export const leftOver = ({ info }: Window): [number, number] => [
  info.inHeight -
    ((info.outHeight - 1) * info.strideHeight + info.effectiveFilterHeight) +
    info.padInfo.top +
    info.padInfo.bottom,
  info.inWidth -
    ((info.outWidth - 1) * info.strideWidth + info.effectiveFilterWidth) +
    info.padInfo.left +
    info.padInfo.right,
];

/** Whether a kernel could compute an operation of this window on float32 images, `x` being one of them. */
export function isWhole({ info, cut }: Window, x: Value): boolean {
  const { dataFormat, dilationHeight, dilationWidth, outShape, inShape } = info;
  return (
    x.dtype === "float32" &&
    dataFormat === "channelsLast" &&
    dilationHeight * dilationWidth === 1 &&
    cut[0] === 0 &&
    cut[1] === 0 &&
    [...outShape, ...inShape].every((d) => d > 0)
  );
}

type WholeWindow =
  | `dmae:Convolution${"" | "InputGrad" | "FilterGrad"}`
  | `dmae:MaxPool${"" | "Grad"}`;

/** An operation of a window that stays whole until `graph/windows.ts` decides who computes it. */
export function wholeWindow(
  g: Graph,
  op: WholeWindow,
  inputs: readonly Value[],
  { info }: Window,
  shape: readonly number[],
): Value {
  const { top, bottom, left, right } = info.padInfo;
  const attributes = {
    size: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    pads: [top, bottom, left, right],
    shape: [...shape],
  };
  return g.add(op, inputs, attributes);
}

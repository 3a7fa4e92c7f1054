import { COMPOSITE, WINDOWS } from "../ops/composite.ts";
import { convolution } from "../ops/convolution.ts";
import { reshape } from "./build.ts";
import { type Graph, type Node, sizeOf, type Value } from "./graph.ts";

type Four = [number, number, number, number];

/** The TensorFlow.js kernel of each operation that stays whole, and the names of its inputs. */
const KERNELS_OF: Readonly<Record<string, readonly [kernel: string, ...inputs: string[]]>> = {
  Convolution: ["Conv2D", "x", "filter"],
  ConvolutionInputGrad: ["Conv2DBackpropInput", "dy", "filter"],
  ConvolutionFilterGrad: ["Conv2DBackpropFilter", "x", "dy"],
  MaxPool: ["MaxPool", "x"],
  MaxPoolGrad: ["MaxPoolGrad", "dy", "input"],
};

/** Whether a node is a convolution, max pooling or a gradient of them, still whole. */
export const isWindow = ({ op, domain }: Node): boolean =>
  domain === COMPOSITE && Object.hasOwn(KERNELS_OF, op);

/** The operation in ONNX's operators. */
export function lowerWindow(g: Graph, node: Node, inputs: readonly Value[]): Value {
  const { size, strides, pads } = node.attributes as Record<string, number[]>;
  const [top, bottom, left, right] = pads!;
  const shape = [...node.outputs[0]!.shape];
  const [kernel, ...names] = KERNELS_OF[node.op]!;
  const named = Object.fromEntries(names.map((name, i) => [name, inputs[i]!]));
  const pad = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  const attributes = {
    ...{ strides, pad, filterSize: size, dataFormat: "NHWC", lowered: true },
    ...{ inputShape: shape, filterShape: shape },
  };
  return convolution[kernel]!(g, named, attributes) as Value;
}

/** The operation as kernels compute it: on matrices of pixels and channels, with weights in the order of the kernel. */
export function keepWindow(g: Graph, node: Node, inputs: readonly Value[]): Value {
  const result = node.outputs[0]!;
  const matrix = (x: Value) => reshape(g, x, [sizeOf(x.shape) / x.shape.at(-1)!, x.shape.at(-1)!]);
  const add = (op: string, from: readonly Value[], shape: readonly number[]) => {
    const [rows, columns] = [sizeOf(shape.slice(0, -1)), shape.at(-1)!];
    const made = g.add(op, from, attributesOf(node), [rows, columns], "float32", COMPOSITE);
    return reshape(g, made, shape);
  };
  const weights = (op: string, filter: Value, shape: readonly number[]) =>
    g.add(op, [filter], {}, shape, "float32", COMPOSITE);
  const [a, b, c] = inputs as [Value, Value, Value];
  switch (node.op) {
    case "Convolution": {
      const [height, width, channels, outputs] = b.shape as Four;
      const shape = [height * width * channels, panelOf(outputs)];
      return add(
        WINDOWS.convolution,
        [matrix(a), weights(WINDOWS.weights, b, shape)],
        result.shape,
      );
    }
    case "ConvolutionInputGrad": {
      const [height, width, channels, outputs] = b.shape as Four;
      const shape = [outputs, panelOf(height * width * channels)];
      const transposed = weights(WINDOWS.transposedWeights, b, shape);
      return add(WINDOWS.inputGradient, [matrix(a), transposed], result.shape);
    }
    case "ConvolutionFilterGrad":
      return g.add(
        WINDOWS.filterGradient,
        [matrix(a), matrix(b)],
        attributesOf(node),
        result.shape,
        "float32",
        COMPOSITE,
      );
    case "MaxPool":
      return add(WINDOWS.maxPool, [matrix(a)], result.shape);
    default:
      return add(WINDOWS.maxPoolGradient, [a, b, c].map(matrix), result.shape);
  }
}

/** Channels in whole panels of weights (`PANEL` of convolution.h). */
export const panelOf = (channels: number): number => Math.ceil(channels / 16) * 16;

/** The number of images, and the fields of `Window` in convolution.h. */
function attributesOf({ op, inputs, outputs, attributes }: Node) {
  const { size, strides, pads } = attributes as Record<string, number[]>;
  const [first, second] = inputs.map((value) => value!.shape as Four);
  const result = outputs[0]!.shape as Four;
  const [image, made] = {
    Convolution: [first, result],
    ConvolutionInputGrad: [result, first],
    ConvolutionFilterGrad: [first, second],
    MaxPool: [first, result],
    MaxPoolGrad: [second, first],
  }[op] as [Four, Four];
  const window = [...image.slice(1), ...made.slice(1), ...size!, ...strides!, pads![0]!, pads![2]!];
  return { images: image[0], window };
}

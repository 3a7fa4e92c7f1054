import { COMPOSITE } from "../ops/composite.ts";
import { convolution } from "../ops/convolution.ts";
import { reshape } from "./build.ts";
import { type Graph, type Node, sizeOf, type Value } from "./graph.ts";
import type { Operator } from "./operators.ts";

type Four = [number, number, number, number];

/** The TensorFlow.js kernel of each operation that stays whole, and the names of its inputs. */
const KERNELS_OF = {
  Convolution: ["Conv2D", "x", "filter"],
  ConvolutionInputGrad: ["Conv2DBackpropInput", "dy", "filter"],
  ConvolutionFilterGrad: ["Conv2DBackpropFilter", "x", "dy"],
  MaxPool: ["MaxPool", "x"],
  MaxPoolGrad: ["MaxPoolGrad", "dy", "input"],
} as const;

type WholeWindow = Extract<Node, { domain: typeof COMPOSITE; op: keyof typeof KERNELS_OF }>;

/** Whether a node is a convolution, max pooling or a gradient of them, still whole. */
export const isWindow = (node: Node): node is WholeWindow =>
  node.domain === COMPOSITE && Object.hasOwn(KERNELS_OF, node.op);

/** The operation in ONNX's operators. */
export function lowerWindow(g: Graph, node: WholeWindow, inputs: readonly Value[]): Value {
  const { size, strides, pads } = node.attributes;
  const [top, bottom, left, right] = pads;
  const shape = [...node.outputs[0]!.shape];
  const [kernel, ...names] = KERNELS_OF[node.op];
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
export function keepWindow(g: Graph, node: WholeWindow, inputs: readonly Value[]): Value {
  const matrix = (x: Value) => reshape(g, x, [sizeOf(x.shape) / x.shape.at(-1)!, x.shape.at(-1)!]);
  const add = (op: Extract<Operator, `dmae:Window${string}`>, from: readonly Value[]) =>
    reshape(g, g.add(op, from, attributesOf(node)), node.outputs[0]!.shape);
  const [a, b, c] = inputs as [Value, Value, Value];
  switch (node.op) {
    case "Convolution":
      return add("dmae:WindowConvolution", [matrix(a), g.add("dmae:ConvolutionWeights", [b])]);
    case "ConvolutionInputGrad": {
      const weights = g.add("dmae:TransposedConvolutionWeights", [b]);
      return add("dmae:WindowInputGradient", [matrix(a), weights]);
    }
    case "ConvolutionFilterGrad":
      return add("dmae:WindowFilterGradient", [matrix(a), matrix(b)]);
    case "MaxPool":
      return add("dmae:WindowMaxPool", [matrix(a)]);
    default:
      return add("dmae:WindowMaxPoolGradient", [a, b, c].map(matrix));
  }
}

/** The number of images, and the fields of `Window` in convolution.h. */
function attributesOf({ op, inputs, outputs, attributes }: WholeWindow) {
  const { size, strides, pads } = attributes;
  const [first, second] = inputs.map((value) => value!.shape as Four);
  const result = outputs[0]!.shape as Four;
  const [image, made] = {
    Convolution: [first, result],
    ConvolutionInputGrad: [result, first],
    ConvolutionFilterGrad: [first, second],
    MaxPool: [first, result],
    MaxPoolGrad: [second, first],
  }[op] as [Four, Four];
  const window = [...image.slice(1), ...made.slice(1), ...size, ...strides, pads[0]!, pads[2]!];
  return { images: image[0], window };
}

import { type Node, sizeOf } from "../graph/graph.ts";
import { type MatrixWindow, panelOf } from "../graph/operators.ts";
import type { Program } from "../graph/optimize.ts";
import { COMPOSITE, WINDOWS } from "../ops/composite.ts";
import { type Kernel, type KernelParts, makeKernel } from "./kernel.ts";

/** Shares of a batch whose filter gradients are added up: the same whatever the number of threads. */
const SHARES = 16;

/** Numbers of an image's strip that a convolution copies at once. */
const STRIP = 1 << 16;

/** Convolutions, max pooling and their gradients as kernels (convolution.h); null for other nodes. */
export function emitConvolution(node: Node): Kernel | null {
  if (node.domain !== COMPOSITE) return null;
  const made = bodyOf(node);
  const inputs = node.inputs.map((value) => value!);
  return made && makeKernel({ label: "Window", inputs, outputs: node.outputs, ...made });
}

function bodyOf(node: Node): Pick<KernelParts, "body" | "parts" | "finish"> | null {
  const { images } = node.attributes as MatrixWindow;
  switch (node.op) {
    case WINDOWS.weights:
    case WINDOWS.transposedWeights: {
      const [rows, columns, channels, outputs] = node.inputs[0]!.shape as [
        number,
        number,
        number,
        number,
      ];
      const call = node.op === WINDOWS.weights ? "conv_weights" : "conv_transposed_weights";
      return { body: [`  ${call}(call, ${rows * columns}, ${channels}, ${outputs});`], parts: 1 };
    }
    case WINDOWS.convolution: {
      const strips = stripsOf(node);
      return {
        body: [`  convolution(call, part, ${windowOf(node)}, ${strips});`],
        parts: images * strips,
      };
    }
    case WINDOWS.inputGradient:
      return { body: [`  conv_scatter(call, part, ${windowOf(node)});`], parts: images };
    case WINDOWS.filterGradient: {
      const parts = Math.min(SHARES, images);
      const [rows, columns, channels, outputs] = node.outputs[0]!.shape as [
        number,
        number,
        number,
        number,
      ];
      const partial = parts * rows * columns * channels * panelOf(outputs);
      return {
        body: [`  conv_gradient(call, part, ${windowOf(node)}, ${images}, ${parts});`],
        parts,
        finish: { body: [`  conv_gradient_sum(call, ${windowOf(node)}, ${parts});`], partial },
      };
    }
    case WINDOWS.maxPool:
      return { body: [`  max_pool(call, part, ${windowOf(node)});`], parts: images };
    case WINDOWS.maxPoolGradient:
      return { body: [`  max_pool_gradient(call, part, ${windowOf(node)});`], parts: images };
    default:
      return null;
  }
}

/**
 * The work of a program's convolutions in blocks of 16 channels, as a multiple of what they take: ONNX Runtime computes in such
 * blocks, and kernels read as many channels as there are. 1 without convolutions.
 */
export function channelPadding({ graph }: Program): number {
  let [real, padded] = [0, 0];
  for (const { op, attributes } of graph.nodes) {
    if (op !== WINDOWS.convolution) continue;
    const [, , channels, height, width, outputs, rows, columns] = attributes.window;
    const products = attributes.images * height! * width! * rows! * columns!;
    // Fewer channels than a block, those of images, are read as they are.
    const read = channels! < 16 ? channels! : panelOf(channels!);
    real += products * channels! * outputs!;
    padded += products * read * panelOf(outputs!);
  }
  return real > 0 ? padded / real : 1;
}

const windowOf = ({ attributes }: Node) => `(Window){${(attributes as MatrixWindow).window}}`;

function stripsOf({ attributes, inputs }: Node): number {
  const { images, window } = attributes as MatrixWindow;
  const outHeight = window[3]!;
  const size = sizeOf(inputs[0]!.shape) / images;
  return Math.min(outHeight, Math.ceil(size / STRIP));
}

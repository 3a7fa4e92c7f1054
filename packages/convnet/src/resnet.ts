import type { ParameterSpecs } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import type { ConvNetConfig } from "./config.ts";
import {
  convolved,
  convParameters,
  defaultParameters,
  heNormal,
  normalized,
  normParameters,
  type Pass,
  pixelMean,
  projected,
} from "./layers.ts";
import { type BlockKind, type BlockShape, basicBlock, bottleneck } from "./residual-block.ts";

/** A ResNet: blocks of one kind behind a first convolution. */
interface Design {
  readonly kind: BlockKind;
  readonly stem: { readonly size: number; readonly stride: number; readonly pool: boolean };
}

/** ResNets for 32x32 images, and those for ImageNet's. */
export const DESIGNS = {
  cifar: { kind: basicBlock, stem: { size: 3, stride: 1, pool: false } },
  imageNet: { kind: bottleneck, stem: { size: 7, stride: 2, pool: true } },
} as const satisfies Readonly<Record<string, Design>>;

/** The blocks in their order: `layer1.0`, `layer1.1`, … Each stage after the first halves the image. */
function blocksOf({ kind }: Design, { width, blocks }: ConvNetConfig): [string, BlockShape][] {
  const inputsOf = (stage: number, block: number) => {
    if (block > 0) return width * 2 ** stage * kind.expansion;
    return stage === 0 ? width : width * 2 ** (stage - 1) * kind.expansion;
  };
  return blocks.flatMap((count, stage) =>
    Array.from({ length: count }, (_, block): [string, BlockShape] => [
      `layer${stage + 1}.${block}`,
      {
        inputs: inputsOf(stage, block),
        planes: width * 2 ** stage,
        stride: block === 0 && stage > 0 ? 2 : 1,
      },
    ]),
  );
}

/** Every parameter of a ResNet; convolutions are drawn by He et al.'s rule, the last layer as PyTorch draws it. */
export function resnetParameters(design: Design, config: ConvNetConfig): ParameterSpecs {
  const { width, blocks, channels, numClasses } = config;
  const features = width * 2 ** (blocks.length - 1) * design.kind.expansion;
  return Object.assign(
    convParameters("conv1", [width, channels, design.stem.size], heNormal),
    normParameters("bn1", width),
    ...blocksOf(design, config).map(([name, shape]) => design.kind.parameters(name, shape)),
    defaultParameters("fc", [numClasses, features]),
  );
}

/** `[B, S, S, C]` to `[B, numClasses]`. */
export function resnet(design: Design, config: ConvNetConfig, pass: Pass, x: tf.Tensor): tf.Tensor {
  const { size, stride, pool } = design.stem;
  const first = convolved(pass, "conv1", x, { stride, padding: (size - 1) / 2 });
  const stem = tf.relu(normalized(pass, "bn1", first));
  let y = pool ? tf.maxPool(stem as tf.Tensor4D, 3, 2, 1) : stem;
  for (const [name, shape] of blocksOf(design, config))
    y = design.kind.forward(pass, name, y, shape) as tf.Tensor4D;
  return projected(pass, "fc", pixelMean(y));
}

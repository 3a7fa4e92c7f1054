import type { ParameterSpecs } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import {
  convolved,
  convParameters,
  heNormal,
  normalized,
  normParameters,
  type Pass,
} from "./layers.ts";

/** Channels in, channels of the inner convolutions, and the stride of a residual block. */
export interface BlockShape {
  readonly inputs: number;
  readonly planes: number;
  readonly stride: number;
}

/** A kind of residual block (arXiv:1512.03385). */
export interface BlockKind {
  /** Channels out over inner channels. */
  readonly expansion: number;
  parameters(name: string, shape: BlockShape): ParameterSpecs;
  forward(pass: Pass, name: string, x: tf.Tensor, shape: BlockShape): tf.Tensor;
}

const conv = (name: string, outputs: number, inputs: number, size: number) =>
  convParameters(name, [outputs, inputs, size], heNormal);

const hasShortcut = (kind: BlockKind, { inputs, planes, stride }: BlockShape) =>
  stride !== 1 || inputs !== planes * kind.expansion;

function shortcutParameters(kind: BlockKind, name: string, shape: BlockShape): ParameterSpecs {
  if (!hasShortcut(kind, shape)) return {};
  const outputs = shape.planes * kind.expansion;
  return {
    ...conv(`${name}.downsample.0`, outputs, shape.inputs, 1),
    ...normParameters(`${name}.downsample.1`, outputs),
  };
}

function shortcut(kind: BlockKind, pass: Pass, name: string, x: tf.Tensor, shape: BlockShape) {
  if (!hasShortcut(kind, shape)) return x;
  const { stride } = shape;
  return normalized(
    pass,
    `${name}.downsample.1`,
    convolved(pass, `${name}.downsample.0`, x, { stride }),
  );
}

/** Two 3x3 convolutions; the first has the stride. */
export const basicBlock: BlockKind = {
  expansion: 1,
  parameters: (name, shape) => ({
    ...conv(`${name}.conv1`, shape.planes, shape.inputs, 3),
    ...normParameters(`${name}.bn1`, shape.planes),
    ...conv(`${name}.conv2`, shape.planes, shape.planes, 3),
    ...normParameters(`${name}.bn2`, shape.planes),
    ...shortcutParameters(basicBlock, name, shape),
  }),
  forward(pass, name, x, shape) {
    const { stride } = shape;
    const inner = convolved(pass, `${name}.conv1`, x, { stride, padding: 1 });
    const hidden = tf.relu(normalized(pass, `${name}.bn1`, inner));
    const outer = convolved(pass, `${name}.conv2`, hidden, { padding: 1 });
    const y = normalized(pass, `${name}.bn2`, outer);
    return tf.relu(tf.add(y, shortcut(basicBlock, pass, name, x, shape)));
  },
};

/** 1x1, 3x3 with the stride (torchvision's place for it), 1x1 to four times the channels. */
export const bottleneck: BlockKind = {
  expansion: 4,
  parameters: (name, shape) => ({
    ...conv(`${name}.conv1`, shape.planes, shape.inputs, 1),
    ...normParameters(`${name}.bn1`, shape.planes),
    ...conv(`${name}.conv2`, shape.planes, shape.planes, 3),
    ...normParameters(`${name}.bn2`, shape.planes),
    ...conv(`${name}.conv3`, 4 * shape.planes, shape.planes, 1),
    ...normParameters(`${name}.bn3`, 4 * shape.planes),
    ...shortcutParameters(bottleneck, name, shape),
  }),
  forward(pass, name, x, shape) {
    const { stride } = shape;
    const narrow = tf.relu(normalized(pass, `${name}.bn1`, convolved(pass, `${name}.conv1`, x)));
    const inner = convolved(pass, `${name}.conv2`, narrow, { stride, padding: 1 });
    const hidden = tf.relu(normalized(pass, `${name}.bn2`, inner));
    const y = normalized(pass, `${name}.bn3`, convolved(pass, `${name}.conv3`, hidden));
    return tf.relu(tf.add(y, shortcut(bottleneck, pass, name, x, shape)));
  },
};

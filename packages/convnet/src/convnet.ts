import type { Given, Key } from "@dmae/core";
import type { Model, Params } from "@dmae/nn";
import { normalize, type ParameterSpecs } from "@dmae/nn/layers";
import type * as tf from "@tensorflow/tfjs-core";
import { type ConvNetConfig, type ConvNetName, resolveConfig } from "./config.ts";
import type { Pass } from "./layers.ts";
import { lenet, lenetParameters } from "./lenet.ts";
import { networkParts, square } from "./network.ts";
import { DESIGNS, resnet, resnetParameters } from "./resnet.ts";

/** A convolutional classifier: pure functions of named parameters and running statistics. */
export interface ConvNet extends Model {
  /** Every field, frozen. */
  readonly config: ConvNetConfig;
  /** Shape of every parameter and running statistic, in the order of the official state dict. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Initial parameters and running statistics on the current backend; the caller disposes of them. */
  init(key: Key): Params;
  /**
   * Class scores `[B, numClasses]` with the running statistics; the caller disposes of them.
   *
   * @param x `[B, inputSize, inputSize, channels]` float32, images in [0, 1], noise included
   */
  logits(params: Params, x: tf.Tensor): tf.Tensor;
}

/**
 * A convolutional classifier of the certified-training literature, equal to the official PyTorch code in names,
 * layouts, numbers and the distribution of its initial parameters:
 *
 * - `lenet`: LeNet for 28x28 grey images, 20 and 50 channels, 500 hidden units (431,080 parameters);
 * - `cifar_resnet20`, `cifar_resnet110`: ResNets for 32x32 images (arXiv:1512.03385, section 4.2) with
 *   projections where the shape changes;
 * - `resnet50`: torchvision's ResNet-50 for ImageNet.
 *
 * Images in [0, 1] go in; channel normalisation is part of the model, so that a radius is measured in pixels. Batch
 * normalisation keeps its running statistics in `params`, as `….running_mean` and `….running_var`: a training pass
 * returns their new values. `num_batches_tracked`, which PyTorch also stores, has no effect and is left out.
 *
 * @param overrides fields of {@link ConvNetConfig} that differ
 * @throws DmaeError "argument" for an unknown name or a field outside its range
 * @example
 * ```ts
 * const resnet = createConvNet("cifar_resnet110");
 * const params = resnet.init(key(0));
 * const { logits, updates } = resnet.apply(params, images, { training: true }); // [B, 10], running statistics
 * ```
 */
export function createConvNet(name: ConvNetName, overrides: Given<ConvNetConfig> = {}): ConvNet {
  const config = resolveConfig(name, overrides);
  const { inputSize, channels, numClasses } = config;
  const { specs, classify } = designOf(config);
  const imageShape = square(inputSize, channels);
  const forward = (pass: Pass, images: tf.Tensor) => classify(pass, standardized(config, images));
  const { run, ...parts } = networkParts({ caller: "apply", imageShape, specs, forward });
  return {
    ...parts,
    config,
    imageShape,
    numClasses,
    apply(params, images, options) {
      const { output, ...rest } = run(params, images, options);
      return { logits: output, ...rest };
    },
    logits: (params, x) => run(params, x, {}).output,
  };
}

/** Channel normalisation, unless it changes nothing. */
function standardized({ mean, std }: ConvNetConfig, images: tf.Tensor): tf.Tensor {
  const changes = mean.some((value) => value !== 0) || std.some((value) => value !== 1);
  return changes ? normalize(images, mean, std) : images;
}

function designOf(config: ConvNetConfig): {
  specs: ParameterSpecs;
  classify: (pass: Pass, x: tf.Tensor) => tf.Tensor;
} {
  if (config.name === "lenet") return { specs: lenetParameters(config), classify: lenet };
  const design = config.name === "resnet50" ? DESIGNS.imageNet : DESIGNS.cifar;
  return {
    specs: resnetParameters(design, config),
    classify: (pass, x) => resnet(design, config, pass, x),
  };
}

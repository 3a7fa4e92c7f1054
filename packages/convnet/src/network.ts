import { DmaeError, type HostTensor, type ImageShape, type Key } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type ApplyOptions, type Params, type Tensors, toTensors } from "@dmae/nn";
import { checkParameters, initializeParameters, type ParameterSpecs } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { isBuffer, type Pass } from "./layers.ts";

/** A network: its parameters and what a pass computes. */
export interface Network {
  /** Names the network in errors. */
  readonly caller: string;
  /** `[H, W, C]` of its images; H and W null where any size will do. */
  readonly imageShape: readonly [number | null, number | null, number];
  /** Every parameter and running statistic, in the order of the official state dict. */
  readonly specs: ParameterSpecs;
  forward(pass: Pass, images: tf.Tensor): tf.Tensor;
}

/** The parts that every network has. */
export interface NetworkParts {
  /** Shape of every parameter and running statistic, in the order of the official state dict. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Names of the running statistics. */
  readonly buffers: readonly string[];
  initHost(key: Key): Record<string, HostTensor>;
  init(key: Key): Params;
  /** One pass; `updates` holds every buffer's new value in training. */
  run(
    params: Params,
    images: tf.Tensor,
    options?: ApplyOptions,
  ): { output: tf.Tensor; updates?: Tensors };
}

/** The functions of a network. */
export function networkParts({ caller, imageShape, specs, forward }: Network): NetworkParts {
  const initHost = (key: Key) => initializeParameters(key, specs);
  const shapes = Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => [name, shape]),
  );
  return {
    shapes,
    buffers: Object.keys(specs).filter(isBuffer),
    initHost,
    init: (key) => toTensors(initHost(key)),
    run(params, images, options = {}) {
      checkOptions(caller, options, { training: true, dropPath: true });
      const { training = false } = options;
      checkParameters(caller, specs, params);
      checkImages(caller, imageShape, images);
      return tf.tidy(() => {
        const updates: Tensors = {};
        const output = forward({ params, training, updates }, images);
        return training ? { output, updates } : { output };
      });
    },
  };
}

function checkImages(caller: string, shape: Network["imageShape"], images: tf.Tensor): void {
  const fits = shape.every((length, i) => length === null || length === images.shape[i + 1]);
  if (images.rank !== 4 || !fits)
    throw new DmaeError(
      "shape",
      `${caller}: images must be [B, ${shape.map((n, i) => n ?? "HW"[i]).join(", ")}], got [${images.shape}]`,
    );
}

/** Throws unless every field named is a positive integer. */
export function checkCounts(caller: string, counts: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts))
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 24)
      throw new DmaeError(
        "argument",
        `${caller}: ${name} must be a positive integer of at most 2^24, got ${value}`,
      );
}

/** Square images. */
export const square = (size: number, channels: number): ImageShape => [size, size, channels];

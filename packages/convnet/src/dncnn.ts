import { DmaeError, type Given, type HostTensor, type Key } from "@dmae/core";
import { checkOptions, defined } from "@dmae/core/checks";
import type { Params, Tensors } from "@dmae/nn";
import { constantSpec, orthogonal, type ParameterSpecs, zeros } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { convolved, convParameters, normalized, normParameters, type Pass } from "./layers.ts";
import { checkCounts, networkParts } from "./network.ts";

/** The shape of a DnCNN. */
export interface DnCnnConfig {
  /** Channels of an image. */
  readonly channels: number;
  /** Convolutions. */
  readonly depth: number;
  /** Channels between them. */
  readonly width: number;
}

/** What a pass through a denoiser returns; the caller disposes of every tensor in it. */
export interface DenoiserOutput {
  /** The denoised images, the shape of the input; not clipped. */
  readonly denoised: tf.Tensor;
  /** After a training pass, the new running statistics. */
  readonly updates?: Tensors;
}

/** A DnCNN: pure functions of named parameters and running statistics. */
export interface DnCnn {
  /** Every field, frozen. */
  readonly config: DnCnnConfig;
  /** Shape of every parameter and running statistic, in the order of the official state dict. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Names of the running statistics in `params`. */
  readonly buffers: readonly string[];
  /** Initial parameters and running statistics in host memory; each value follows from the key, the name and the position. */
  initHost(key: Key): Record<string, HostTensor>;
  /** Initial parameters and running statistics on the current backend; the caller disposes of them. */
  init(key: Key): Params;
  /**
   * The denoised images.
   *
   * @param noisy `[B, H, W, channels]` float32
   * @param options `training`: normalise with the statistics of the batch and return the new running ones
   */
  denoise(
    params: Params,
    noisy: tf.Tensor,
    options?: { readonly training?: boolean },
  ): DenoiserOutput;
}

const norm = { epsilon: 1e-4, momentum: 0.95 };

/**
 * DnCNN (arXiv:1608.03981) as denoised smoothing trains it (arXiv:2003.01908): `D(x) = x - network(x)`, the network
 * being `depth` 3x3 convolutions with batch normalisation and ReLU between them. Names, layouts and numbers are those of
 * the official PyTorch code, its batch normalisation included (epsilon 1e-4; momentum 0.95 in PyTorch's sense,
 * so that the running statistics are nearly those of the last batch).
 *
 * Initially convolutions are orthogonal and the last one is zero: a fresh denoiser changes nothing.
 *
 * @param options `channels` 3, `depth` 17 and `width` 64 where they are left out
 * @throws DmaeError "argument" for a field outside its range
 * @example
 * ```ts
 * const denoiser = createDnCNN({ channels: 1 });
 * const { denoised } = denoiser.denoise(denoiser.init(key(0)), noisy); // noisy, before training
 * ```
 */
export function createDnCNN(options: Given<DnCnnConfig> = {}): DnCnn {
  checkOptions("createDnCNN", options, { channels: true, depth: true, width: true });
  const config = Object.freeze({ channels: 3, depth: 17, width: 64, ...defined(options) });
  const { channels, depth, width } = config;
  checkCounts("createDnCNN", { channels, depth, width });
  if (depth < 2 || depth > 1000)
    throw new DmaeError("argument", `createDnCNN: depth must be 2 to 1000, got ${depth}`);
  const { run, ...parts } = networkParts({
    caller: "denoise",
    imageShape: [null, null, channels],
    specs: dncnnParameters(config),
    forward: (pass, noisy) => tf.sub(noisy, residual(config, pass, noisy)),
  });
  return {
    ...parts,
    config,
    denoise(params, noisy, settings) {
      const { output, ...rest } = run(params, noisy, settings);
      return { denoised: output, ...rest };
    },
  };
}

/** Positions in PyTorch's Sequential of the convolutions in the middle: 2, 5, 8, … */
const middle = (depth: number) => Array.from({ length: depth - 2 }, (_, i) => 3 * i + 2);

function dncnnParameters({ channels, depth, width }: DnCnnConfig): ParameterSpecs {
  const last = constantSpec([channels, width, 3, 3], zeros);
  return Object.assign(
    convParameters("dncnn.0", [width, channels, 3], orthogonal),
    { "dncnn.0.bias": constantSpec([width], zeros) },
    ...middle(depth).flatMap((i) => [
      convParameters(`dncnn.${i}`, [width, width, 3], orthogonal),
      normParameters(`dncnn.${i + 1}`, width),
    ]),
    { [`dncnn.${3 * (depth - 1) - 1}.weight`]: last },
  );
}

/** The noise as the network sees it. */
function residual({ depth }: DnCnnConfig, pass: Pass, x: tf.Tensor): tf.Tensor {
  let y: tf.Tensor = tf.relu(convolved(pass, "dncnn.0", x, { padding: 1 }));
  for (const i of middle(depth)) {
    const inner = convolved(pass, `dncnn.${i}`, y, { padding: 1 });
    y = tf.relu(normalized(pass, `dncnn.${i + 1}`, inner, norm));
  }
  return convolved(pass, `dncnn.${3 * (depth - 1) - 1}`, y, { padding: 1 });
}

import { DmaeError, type FloatArray, type Key, normal, uniform } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { laplace } from "@dmae/core/random";
import { checkOneOf, checkPositive } from "../checks.ts";
import type { Seed } from "./fresh-seed.ts";
import { addressKeys, checkFill, type LocalNoise, type NoiseDistribution } from "./noise-source.ts";

/** Options of {@link noiseSource}. */
export interface NoiseOptions {
  /** Seed of the run: an integer `>= 0`, a bigint or a string; 0 is a seed like any other. */
  readonly seed: Seed;
  /** Standard deviation of the noise in pixel units, finite and `> 0`. */
  readonly sigma: number;
  /** Distribution of the noise; default `"gaussian"`. */
  readonly distribution?: NoiseDistribution | undefined;
}

/**
 * The noise of a certification, addressed by (seed, image, stage, sample): batch size, order, shards,
 * workers and interruptions do not change a single noisy pixel.
 *
 * Every element is `x + sigma z` in float64, rounded once to float32, with z from Philox4x32-10 (see
 * `normal` of `@dmae/core`): the same bits on every machine, |z| up to 9.49 sigma. The float32 result
 * follows the distribution only up to that rounding; where this matters use {@link soundNoise}.
 *
 * - `"gaussian"`: N(0, sigma^2)
 * - `"uniform"`: on [-a, a] with a = sqrt(3) sigma
 * - `"laplace"`: density exp(-|z| / b) / 2b with b = sigma / sqrt(2)
 *
 * @param options seed, sigma and distribution
 * @returns the source; its `fill` throws a {@link DmaeError}, "shape" if `out` is too short, "argument" for a bad address
 * @throws {DmaeError} "argument" for a bad seed, sigma or distribution
 * @example
 * const noise = noiseSource({ seed: 0, sigma: 0.25 });
 * noise.fill(batch, image, { image: 17, stage: "estimation", first: 4000, count: 100 }); // samples 4000 … 4099
 */
export function noiseSource(options: NoiseOptions): LocalNoise {
  checkOptions("noiseSource", options, { seed: true, sigma: true, distribution: true });
  const { seed, sigma, distribution = "gaussian" } = options;
  checkPositive("noiseSource", "sigma", sigma);
  checkOneOf("noiseSource", "distribution", distribution, Object.keys(adders));
  const add = adders[distribution];
  const keyOf = addressKeys(seed);
  return {
    generator: `philox4x32-10/${distribution}`,
    drawnWith: { sigma, seed, distribution },
    fill(out, x, address) {
      checkFill("noiseSource.fill", out, x, address);
      const stream = keyOf(address);
      for (let sample = 0; sample < address.count; sample++) {
        const row = out.subarray(sample * x.length, (sample + 1) * x.length);
        add(row, x, stream, address.first + sample, sigma);
      }
    },
  };
}

type Add = (row: Float32Array, x: FloatArray, stream: Key, index: number, sigma: number) => void;

const adders: Readonly<Record<NoiseDistribution, Add>> = {
  gaussian: (row, x, stream, index, sigma) =>
    void normal(stream, row, { index, mean: x, standardDeviation: sigma }),
  uniform: (row, x, stream, index, sigma) => {
    const high = Math.sqrt(3) * sigma;
    addTo(row, x, uniform(stream, scratch(x.length), { index, low: -high, high }));
  },
  laplace: (row, x, stream, index, sigma) =>
    addTo(row, x, laplace(stream, scratch(x.length), { index, scale: Math.SQRT1_2 * sigma })),
};

function addTo(row: Float32Array, x: FloatArray, noise: Float64Array): void {
  for (let i = 0; i < x.length; i++) row[i] = (x[i] as number) + (noise[i] as number);
}

let shared = new Float64Array(0);

/** A float64 array of the given length that is valid until the next call. */
function scratch(length: number): Float64Array {
  if (shared.length < length) shared = new Float64Array(length);
  return shared.subarray(0, length);
}

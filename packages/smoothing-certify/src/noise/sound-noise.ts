import { DmaeError, type FloatArray, uniform } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { checkInteger, checkPositive } from "../checks.ts";
import { type GridTable, gridStep, gridTable, LEVELS } from "./grid-table.ts";
import type { NoiseOptions } from "./noise.ts";
import { addressKeys, checkFill, type LocalNoise } from "./noise-source.ts";

/** Largest sigma for which the tables stay small. */
const MOST_SIGMA = 16;

/** Noise on the 8-bit grid, and how far its distribution is from the exact one. */
export interface SoundNoise extends LocalNoise {
  /**
   * Upper bound on the total variation distance between the distribution of one noisy copy of an image of
   * `dimension` pixels and the one that the guarantee is about. A probability estimated from copies is
   * off by at most this much: subtract it from a lower bound, add it to an upper one.
   */
  totalVariation(dimension: number): number;
}

/**
 * Gaussian noise for which floating point cannot break the guarantee.
 *
 * Ordinary noise `x + sigma z` is rounded to floating point, so its distribution is not a shifted normal but a
 * discrete one that may depend on the low bits of x, which a classifier could read off: Voracek and Hein,
 * "Sound randomized smoothing in floating-point arithmetic" (ICLR 2023), build certificates that are wrong
 * for this reason. (`noiseSource` adds in float64 and rounds once, which leaves them little to read, but
 * that is no proof.) Here a noisy pixel is `(k + j) / 255` with the clean pixel `k / 255` and j the rounding of a
 * normal of standard deviation 255 sigma, drawn by comparing a uniform 53-bit integer with the integers
 * `round(2^53 Phi((2 i + 1) / (510 sigma)))`: no floating-point number takes part until the integer
 * `k + j` is known, and the bits are the same on every machine.
 *
 * What is certified is the smoothing of `classifier ∘ round`, which first rounds every noisy pixel to
 * the nearest k / 255: for inputs on the grid its copies under true Gaussian noise have exactly this distribution,
 * up to the total variation stated, about 3e-14 a pixel at sigma = 0.5.
 *
 * A pixel within 2^-22 of k / 255, as other ways to divide by 255 give it, stands for k / 255: the certificate is for
 * the image of the numbers k / 255, and radii are measured from there.
 *
 * Limits: inputs must be 8-bit images, resized and cropped before and normalised after the noise is
 * added. The argument covers the noise and its counts, not a classifier whose answer for a row
 * depends on other rows or on chance, and it takes Philox4x32-10 for random.
 *
 * @param options seed and sigma (at most 16); the distribution is always Gaussian
 * @returns the source; its `fill` throws a {@link DmaeError} "argument" for a pixel off the grid
 * @throws {DmaeError} "argument" for a bad seed or sigma
 * @example
 * const result = await certify(classifier, x, { sigma: 0.25, noise: soundNoise({ seed: 0, sigma: 0.25 }) });
 */
export function soundNoise(options: Pick<NoiseOptions, "seed" | "sigma">): SoundNoise {
  checkOptions("soundNoise", options, { seed: true, sigma: true });
  const { seed, sigma } = options;
  checkSigma("soundNoise", sigma);
  const table = gridTable(sigma);
  const keyOf = addressKeys(seed);
  return {
    generator: `philox4x32-10/gaussian-grid-${LEVELS}`,
    drawnWith: { sigma, seed, distribution: "gaussian" },
    fill(out, x, address) {
      checkFill("soundNoise.fill", out, x, address);
      const [stream, levels] = [keyOf(address), toLevels(x)];
      const uniforms = new Float64Array(x.length);
      for (let sample = 0; sample < address.count; sample++) {
        uniform(stream, uniforms, { index: address.first + sample });
        addGridNoise(out, sample * x.length, levels, uniforms, table);
      }
    },
    totalVariation(dimension) {
      checkInteger("soundNoise.totalVariation", "dimension", dimension);
      return Math.min(1, dimension * table.totalVariation * (1 + 2 ** -50));
    },
  };
}

function checkSigma(where: string, sigma: number): void {
  checkPositive(where, "sigma", sigma);
  if (sigma > MOST_SIGMA)
    throw new DmaeError(
      "argument",
      `${where}: sigma must be at most ${MOST_SIGMA}, got ${sigma}; pixels lie in [0, 1]`,
    );
}

/** Writes the pixels of `k + j`, each j drawn by its uniform number. */
function addGridNoise(
  out: Float32Array,
  offset: number,
  levels: Uint8Array,
  uniforms: Float64Array,
  table: GridTable,
): void {
  for (let i = 0; i < levels.length; i++) {
    const step = gridStep(uniforms[i] as number, table);
    out[offset + i] = table.pixels[(levels[i] as number) + step] as number;
  }
}

/** The k of pixels k / 255. */
function toLevels(x: FloatArray): Uint8Array {
  const levels = new Uint8Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const level = Math.round((x[i] as number) * LEVELS);
    if (!(level >= 0 && level <= LEVELS && Math.abs((x[i] as number) - level / LEVELS) < 2 ** -22))
      throw new DmaeError(
        "argument",
        `soundNoise: pixels must be k / 255 with k = 0 … 255, got ${x[i]} at element ${i}; add noise to 8-bit images before normalising them`,
        { element: i, value: x[i] },
      );
    levels[i] = level;
  }
  return levels;
}

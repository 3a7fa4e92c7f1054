/** A seed of noise: an integer in [0, 2^53), a bigint in [0, 2^64) or a string. */
export type Seed = number | bigint | string;

/**
 * Draws a seed that nobody can know beforehand: an integer in [0, 2^53) from the platform's cryptographic
 * generator.
 *
 * @example
 * const seed = freshSeed(); // e.g. 5127046891320447
 * const noise = await noiseInWorkers({ seed, sigma: 0.5 });
 */
export function freshSeed(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return (high >>> 11) * 2 ** 32 + low;
}

/** A seed as logs keep it: digits for a number, JSON for a string. */
export function formatSeed(seed: Seed): string {
  return typeof seed === "string" ? JSON.stringify(seed) : String(seed);
}

/** The seed that {@link formatSeed} wrote; undefined for a text that it did not write. */
export function parseSeed(text: string): Seed | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : BigInt(text);
  }
  try {
    const seed: unknown = JSON.parse(text);
    return typeof seed === "string" ? seed : undefined;
  } catch {
    return undefined;
  }
}

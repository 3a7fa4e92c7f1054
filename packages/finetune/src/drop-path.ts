import { type HostTensor, type Key, uniform } from "@dmae/core";

/** Rates of stochastic depth, from 0 at the first block to `rate` at the last (timm's linspace). */
export function dropPathRates(rate: number, depth: number): number[] {
  return Array.from({ length: depth }, (_, i) => (depth === 1 ? 0 : (rate * i) / (depth - 1)));
}

/**
 * Scales of the residual branches of each row: 0 with the block's rate, else `1 / (1 - rate)`; attention and MLP of
 * a block are drawn independently.
 *
 * @param rates one for each block
 * @param rows a key and an index for each row of the batch
 * @returns `[depth, 2, B]` float32, the `dropPath` input of `@dmae/vit`
 */
export function drawDropPath(
  rates: readonly number[],
  rows: readonly { readonly key: Key; readonly index: number }[],
): HostTensor {
  const depth = rates.length;
  const data = new Float32Array(depth * 2 * rows.length);
  const draws = new Float64Array(2 * depth);
  rows.forEach(({ key, index }, row) => {
    uniform(key, draws, { index });
    for (let branch = 0; branch < 2 * depth; branch++) {
      const rate = rates[branch >> 1]!;
      data[branch * rows.length + row] = draws[branch]! < rate ? 0 : 1 / (1 - rate);
    }
  });
  return { dtype: "float32", shape: [depth, 2, rows.length], data };
}

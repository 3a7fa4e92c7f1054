import { DmaeError, type HostTensors } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";

/** Number of patches that stay visible: `floor(length * (1 - maskRatio))`. */
export function visiblePatches(length: number, maskRatio: number): number {
  if (!(maskRatio >= 0 && maskRatio < 1))
    throw new DmaeError(
      "argument",
      `randomMasking: maskRatio must lie in [0, 1), got ${maskRatio}`,
    );
  const count = Math.floor(length * (1 - maskRatio));
  if (count < 1)
    throw new DmaeError(
      "argument",
      `randomMasking: maskRatio ${maskRatio} leaves none of ${length} patches visible`,
    );
  return count;
}

/**
 * Random masking by sorting noise, sample by sample (He et al., arXiv:2111.06377): the patches with the smallest
 * values stay visible, in the order of their values.
 *
 * @param noise `[B, L]` row-major, independent uniforms; equal values keep their order
 * @param options patches per image L and the share of them to hide
 * @returns `idsKeep` `[B, K]` int32, the visible patches; `idsRestore` `[B, L]` int32, the rank of each patch;
 *   `mask` `[B, L]`, 0 for a visible patch and 1 for a hidden one
 * @throws DmaeError "argument" for a ratio outside [0, 1) or one that hides everything
 *
 * @example
 * const masking = randomMasking(uniform(key, new Float64Array(8 * 196)), { length: 196, maskRatio: 0.75 });
 */
export function randomMasking(
  noise: Float32Array | Float64Array,
  options: { readonly length: number; readonly maskRatio: number },
): HostTensors & Record<"idsKeep" | "idsRestore" | "mask", HostTensors[string]> {
  checkOptions("randomMasking", options, { length: true, maskRatio: true });
  const { length } = options;
  const keep = visiblePatches(length, options.maskRatio);
  const batch = noise.length / length;
  if (!Number.isInteger(batch))
    throw new DmaeError(
      "shape",
      `randomMasking: noise must hold ${length} values per image, got ${noise.length}`,
    );
  const idsKeep = new Int32Array(batch * keep);
  const idsRestore = new Int32Array(batch * length);
  const mask = new Float32Array(batch * length);
  for (let row = 0; row < batch; row++) {
    const values = noise.subarray(row * length, (row + 1) * length);
    const order = Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
    order.forEach((patch, rank) => {
      idsRestore[row * length + patch] = rank;
      if (rank < keep) idsKeep[row * keep + rank] = patch;
      else mask[row * length + patch] = 1;
    });
  }
  return {
    idsKeep: { dtype: "int32", shape: [batch, keep], data: idsKeep },
    idsRestore: { dtype: "int32", shape: [batch, length], data: idsRestore },
    mask: { dtype: "float32", shape: [batch, length], data: mask },
  };
}

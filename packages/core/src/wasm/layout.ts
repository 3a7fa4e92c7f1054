/** Blocks per call. */
export const BLOCKS = 512;

/** Byte offsets in the memory of `draws.wat`, behind four arrays of one word for each block. */
export const layout = { values: 16 * BLOCKS, means: 32 * BLOCKS, results: 40 * BLOCKS } as const;

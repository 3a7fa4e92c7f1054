/** Class 1 where the pixel is above 0; a classifier and a data set for the command. */
export default function halves(batch, [rows]) {
  return Int32Array.from({ length: rows }, (_, i) => (batch[i] > 0 ? 1 : 0));
}

export const logits = {
  predict: async (batch, [rows]) => Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 ? batch[i >> 1] : 0)),
};

export function broken() {
  throw new Error("no such weights");
}

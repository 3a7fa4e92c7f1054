import { DmaeError } from "@dmae/core";

/**
 * Throws where a batch has an element that is no finite number: a classifier would answer it like any
 * other, and the answer be counted. A sum shows it, at a few percent of what drawing the batch costs.
 *
 * @param maker what filled the batch
 * @param size numbers of one row
 */
export function checkFinite(maker: string, batch: Float32Array, size: number): void {
  let [a, b, c, d] = [0, 0, 0, 0]; // four sums, as one would wait for itself
  const most = batch.length - (batch.length % 4);
  for (let i = 0; i < most; i += 4) {
    a += batch[i]!;
    b += batch[i + 1]!;
    c += batch[i + 2]!;
    d += batch[i + 3]!;
  }
  for (let i = most; i < batch.length; i++) a += batch[i]!;
  if (Number.isFinite(a + b + c + d)) return;
  const at = batch.findIndex((value) => !Number.isFinite(value)); // float32 numbers cannot overflow a sum
  throw new DmaeError(
    "argument",
    `certify: ${maker} must give finite numbers, got ${batch[at]} at element ${at % size} of row ${Math.floor(at / size)} of a batch`,
    { row: Math.floor(at / size), element: at % size },
  );
}

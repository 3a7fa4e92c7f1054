import { DmaeError } from "@dmae/core";

/**
 * Throws where a batch has an element that is no finite number: a classifier would answer it like any
 * other, and the answer be counted. Takes a few percent of the time in which a batch is drawn.
 *
 * @param maker what filled the batch
 * @param size numbers of one row
 */
export function checkFinite(maker: string, batch: Float32Array, size: number): void {
  if (allFinite(batch)) return;
  const at = batch.findIndex((value) => !Number.isFinite(value));
  throw new DmaeError(
    "argument",
    `certify: ${maker} must give finite numbers, got ${batch[at]} at element ${at % size} of row ${Math.floor(at / size)} of a batch`,
    { row: Math.floor(at / size), element: at % size },
  );
}

/** A sum in float64 tells: float32 numbers cannot overflow it, and nothing makes up for NaN or infinity. */
function allFinite(values: Float32Array): boolean {
  let sum = 0;
  const most = values.length - (values.length % 4);
  // In fours, as every addition to the sum waits for the one before.
  for (let i = 0; i < most; i += 4)
    sum += values[i]! + values[i + 1]! + (values[i + 2]! + values[i + 3]!);
  for (let i = most; i < values.length; i++) sum += values[i]!;
  return Number.isFinite(sum);
}

/** Classifiers of [4, 4, 3] images with three classes, for worker threads. */

/** Linear logits. */
export function linear(batch, [rows], logits = new Float32Array(3 * rows)) {
  if (batch.length !== 48 * rows) throw new RangeError(`48 numbers a row are needed, got ${batch.length}`);
  for (let row = 0; row < rows; row++)
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let i = 0; i < 48; i++) sum += batch[row * 48 + i] * Math.sin(1 + 7 * i + 5 * c);
      logits[3 * row + c] = sum;
    }
  return logits.subarray(0, 3 * rows);
}

const memory = new Float32Array(3 * 1024);

/** The same, some time later, when other calls could have begun, and always in the same memory. */
export default async function late(batch, shape) {
  await new Promise((resolve) => setTimeout(resolve, 1 + (shape[0] % 3)));
  const answer = linear(batch, shape, memory);
  await new Promise((resolve) => setTimeout(resolve, shape[0] % 2));
  return answer;
}

/** Ends its thread at a batch whose first number is above 100. */
export function exits(batch, shape) {
  if (batch[0] > 100) process.exit(7);
  return linear(batch, shape);
}

/** Fails after it has answered. */
export function explodes(batch, shape) {
  if (batch[0] > 100) queueMicrotask(() => setImmediate(() => Promise.reject(new Error("out of memory"))));
  return batch[0] > 100 ? new Promise(() => {}) : linear(batch, shape);
}

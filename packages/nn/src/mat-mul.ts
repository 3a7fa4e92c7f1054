import * as tf from "@tensorflow/tfjs-core";

/*
 * The wasm backend multiplies fast (XNNPACK) only two untransposed matrices; transposed sides and
 * batches go through plain loops, 10 times slower. Copying a side is cheap beside a product, and so is
 * taking a batch apart once its matrices are large.
 */
const onWasm = () => tf.getBackend() === "wasm";

/** Multiplications in one product of a batch from which taking the batch apart pays. */
const largeProduct = 2 ** 20;

/** A 2-D matrix product. */
export function matMul2d(
  a: tf.Tensor,
  b: tf.Tensor,
  transposeA: boolean,
  transposeB: boolean,
): tf.Tensor {
  if (!onWasm()) return tf.matMul(a, b, transposeA, transposeB);
  return tf.tidy(() =>
    tf.matMul(transposeA ? tf.transpose(a) : a, transposeB ? tf.transpose(b) : b),
  );
}

/** Products of the matrices in the last two axes of two tensors of rank 4. */
export function matMul4d(
  a: tf.Tensor,
  b: tf.Tensor,
  transposeA = false,
  transposeB = false,
): tf.Tensor {
  const [outer, heads, rows, columns] = a.shape as [number, number, number, number];
  const work = rows * columns * b.shape[transposeB ? 2 : 3]!;
  if (!onWasm() || work < largeProduct) return tf.matMul(a, b, transposeA, transposeB);
  return tf.tidy(() => {
    const swap = (x: tf.Tensor) => tf.transpose(x, [0, 1, 3, 2]);
    const left = matrices(transposeA ? swap(a) : a);
    const right = matrices(transposeB ? swap(b) : b);
    const products = left.map((matrix, i) => tf.matMul(matrix, right[i]!));
    return tf.reshape(tf.concat(products, 0), [outer, heads, -1, products[0]!.shape[1]!]);
  });
}

/** `matrix [M, K]` times each of `x [B, K, N]`; differentiable in `x`. */
export function matMulEach(matrix: tf.Tensor, x: tf.Tensor): tf.Tensor {
  const work = matrix.size * x.shape[2]!;
  if (!onWasm() || work < largeProduct) return tf.matMul(tf.expandDims(matrix, 0), x);
  return tf.tidy(() => {
    // unstack has no gradient for a single output in 4.22
    const each = x.shape[0] === 1 ? [tf.squeeze(x, [0])] : tf.unstack(x);
    return tf.stack(each.map((columns) => tf.matMul(matrix, columns)));
  });
}

function matrices(x: tf.Tensor): tf.Tensor[] {
  const [rows, columns] = x.shape.slice(2) as [number, number];
  const count = x.shape[0]! * x.shape[1]!;
  const flat = tf.reshape(x, [count * rows, columns]);
  return Array.from({ length: count }, (_, i) => tf.slice(flat, [i * rows, 0], [rows, columns]));
}

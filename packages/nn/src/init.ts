import { DmaeError, type HostTensor, type Key, normal, uniform } from "@dmae/core";

const sizeOf = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

const hostTensor = (shape: readonly number[], data: Float32Array): HostTensor => ({
  dtype: "float32",
  shape: [...shape],
  data,
});

/**
 * Glorot's uniform initialisation: U(-l, l), l = sqrt(6 / (fanIn + fanOut)). The first axis is the
 * fan-out and the product of the others the fan-in, as the official code initialises linear layers
 * and, seen as one, the patch projection.
 *
 * @param key every element follows from the key and its position
 * @param shape `[out, in]` or `[out, in, kh, kw]`
 */
export function xavierUniform(key: Key, shape: readonly number[]): HostTensor {
  if (shape.length < 2)
    throw new DmaeError(
      "shape",
      `xavierUniform: shape needs an output and an input axis, got [${shape}]`,
    );
  const limit = Math.sqrt(6 / (shape[0]! + sizeOf(shape.slice(1))));
  const data = new Float32Array(sizeOf(shape));
  return hostTensor(shape, uniform(key, data, { low: -limit, high: limit }) as Float32Array);
}

/**
 * Normal initialisation with mean 0.
 *
 * @param std standard deviation
 */
export function normalInit(key: Key, shape: readonly number[], std: number): HostTensor {
  const data = new Float32Array(sizeOf(shape));
  return hostTensor(shape, normal(key, data, { standardDeviation: std }) as Float32Array);
}

/**
 * Normal initialisation without the values beyond `[-limit, limit]`, which are drawn again. The limit
 * is absolute, not in standard deviations, as in timm's `trunc_normal_`.
 *
 * @param std standard deviation before truncation
 * @param limit 2 by default
 */
export function truncatedNormal(
  key: Key,
  shape: readonly number[],
  std: number,
  limit = 2,
): HostTensor {
  if (!(limit >= std / 10))
    throw new DmaeError(
      "argument",
      `truncatedNormal: limit must be at least std / 10, got ${limit} and std ${std}`,
    );
  const tensor = normalInit(key, shape, std);
  const data = tensor.data;
  for (let index = 1, outside = true; outside; index++) {
    outside = false;
    let again: Float32Array | undefined;
    for (let i = 0; i < data.length; i++) {
      if (Math.abs(data[i]!) <= limit) continue;
      again ??= normal(key, new Float32Array(data.length), {
        index,
        standardDeviation: std,
      }) as Float32Array;
      data[i] = again[i]!;
      outside = true;
    }
  }
  return tensor;
}

/**
 * PyTorch's initialisation of linear and convolution layers, weight and bias: U(-l, l), l = 1 / sqrt(fanIn).
 *
 * @param fanIn inputs of one output: the product of the weight's axes but the first
 */
export function uniformInit(key: Key, shape: readonly number[], fanIn: number): HostTensor {
  if (!(fanIn > 0))
    throw new DmaeError("argument", `uniformInit: fanIn must be positive, got ${fanIn}`);
  const limit = 1 / Math.sqrt(fanIn);
  const data = new Float32Array(sizeOf(shape));
  return hostTensor(shape, uniform(key, data, { low: -limit, high: limit }) as Float32Array);
}

/**
 * Orthogonal initialisation (arXiv:1312.6120) as `torch.nn.init.orthogonal_`: as a matrix whose rows are the first
 * axis, its rows (or its columns, where there are fewer of them) are orthonormal, uniformly among all such matrices.
 *
 * @param shape `[out, in]` or `[out, in, kh, kw]`
 */
export function orthogonal(key: Key, shape: readonly number[]): HostTensor {
  if (shape.length < 2)
    throw new DmaeError(
      "shape",
      `orthogonal: shape needs an output and an input axis, got [${shape}]`,
    );
  const rows = shape[0]!;
  const columns = sizeOf(shape.slice(1));
  const [count, length] = rows < columns ? [rows, columns] : [columns, rows];
  const vectors = normal(key, new Float64Array(count * length)) as Float64Array;
  for (let i = 0; i < count; i++) orthonormalize(vectors, i, length);
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < count; i++)
    for (let j = 0; j < length; j++)
      data[rows < columns ? i * columns + j : j * columns + i] = vectors[i * length + j]!;
  return hostTensor(shape, data);
}

/** Gram-Schmidt on vector `index` against those before it; twice, so that rounding leaves nothing. */
function orthonormalize(vectors: Float64Array, index: number, length: number): void {
  const vector = vectors.subarray(index * length, (index + 1) * length);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  for (let i = 0; i < 2 * index; i++) {
    const at = (i % index) * length;
    const other = vectors.subarray(at, at + length);
    const along = dot(vector, other);
    for (let j = 0; j < length; j++) vector[j]! -= along * other[j]!;
  }
  const norm = Math.sqrt(dot(vector, vector));
  for (let j = 0; j < length; j++) vector[j]! /= norm;
}

/** All zeros. */
export function zeros(shape: readonly number[]): HostTensor {
  return hostTensor(shape, new Float32Array(sizeOf(shape)));
}

/** All ones. */
export function ones(shape: readonly number[]): HostTensor {
  return hostTensor(shape, new Float32Array(sizeOf(shape)).fill(1));
}

import { DmaeError, type HostTensor } from "@dmae/core";
import { bicubicMatrix } from "@dmae/nn/layers";

/**
 * Fixed two-dimensional sine-cosine positions: half of the channels encode the column, half the row,
 * each half as `[sin(p w_0) … sin(p w_k), cos(p w_0) … cos(p w_k)]`, `w_i = 10000^(-i / (width / 4))`.
 *
 * @param width channels, a multiple of 4
 * @param gridSize patches along one side
 * @param classToken true for a first row of zeros
 * @returns `[gridSize^2 (+ 1), width]` row-major in float64, patches in row-major order
 * @throws DmaeError "argument" if 4 does not divide `width`
 */
export function sincosPositions2d(
  width: number,
  gridSize: number,
  classToken = true,
): Float64Array {
  if (width % 4 !== 0)
    throw new DmaeError(
      "argument",
      `sincosPositions2d: width must be a multiple of 4, got ${width}`,
    );
  const quarter = width / 4;
  const first = classToken ? 1 : 0;
  const table = new Float64Array((gridSize * gridSize + first) * width);
  for (let row = 0; row < gridSize; row++)
    for (let column = 0; column < gridSize; column++) {
      const at = (first + row * gridSize + column) * width;
      for (let i = 0; i < quarter; i++) {
        const frequency = 1 / 10000 ** (i / quarter);
        table[at + i] = Math.sin(column * frequency);
        table[at + quarter + i] = Math.cos(column * frequency);
        table[at + 2 * quarter + i] = Math.sin(row * frequency);
        table[at + 3 * quarter + i] = Math.cos(row * frequency);
      }
    }
  return table;
}

/**
 * Positions for another grid: the class token's row stays, the patches' rows are interpolated
 * bicubically (a = -0.75, half-pixel centres), computed in float64.
 *
 * @param positions `pos_embed`, `[1, 1 + g^2, D]`
 * @param gridSize the new grid's side
 * @returns `[1, 1 + gridSize^2, D]`; a copy where the grid stays
 * @throws DmaeError "shape" if the patches of `positions` are no square grid
 */
export function interpolatePositions(positions: HostTensor, gridSize: number): HostTensor {
  const [one, tokens, width] = positions.shape as [number, number, number];
  const from = Math.sqrt(tokens - 1);
  if (positions.shape.length !== 3 || one !== 1 || !Number.isInteger(from) || from < 1)
    throw new DmaeError(
      "shape",
      `interpolatePositions: positions must be [1, 1 + g^2, D], got [${positions.shape}]`,
    );
  const data = new Float32Array((1 + gridSize * gridSize) * width);
  data.set(positions.data.subarray(0, width));
  const matrix = bicubicMatrix(from, gridSize);
  const patches = Float64Array.from(positions.data.subarray(width));
  const wide = alongColumns(patches, matrix, from, from, gridSize, width);
  data.set(alongRows(wide, matrix, from, gridSize, gridSize * width), width);
  return { dtype: "float32", shape: [1, 1 + gridSize * gridSize, width], data };
}

/** `[rows, from, width]` -> `[rows, to, width]`. */
function alongColumns(
  x: Float64Array,
  matrix: Float64Array,
  rows: number,
  from: number,
  to: number,
  width: number,
): Float64Array {
  const y = new Float64Array(rows * to * width);
  for (let row = 0; row < rows; row++) {
    const line = x.subarray(row * from * width, (row + 1) * from * width);
    y.set(alongRows(line, matrix, from, to, width), row * to * width);
  }
  return y;
}

/** `matrix [to, from]` times `x [from, length]`. */
function alongRows(
  x: Float64Array,
  matrix: Float64Array,
  from: number,
  to: number,
  length: number,
): Float64Array {
  const y = new Float64Array(to * length);
  for (let out = 0; out < to; out++)
    for (let i = 0; i < from; i++) {
      const weight = matrix[out * from + i]!;
      if (weight === 0) continue;
      for (let k = 0; k < length; k++) y[out * length + k]! += weight * x[i * length + k]!;
    }
  return y;
}

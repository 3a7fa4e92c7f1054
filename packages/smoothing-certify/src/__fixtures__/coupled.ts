import { key, normal } from "@dmae/core";
import { generator } from "@dmae/core/random";

/** A small classifier that returns class ids, and an input for it. */
export interface SmallNet {
  readonly classify: (batch: Float32Array, shape: number[]) => Int32Array;
  readonly image: Float32Array;
  readonly sigma: number;
  readonly numClasses: number;
}

/** How the hidden units of a batch, a row for each, depend on the rows beside them. */
type Coupling = (hidden: Float64Array[]) => Float64Array[];

const columns = (rows: Float64Array[], change: (column: Float64Array) => ArrayLike<number>) => {
  const out = rows.map((row) => row.slice());
  for (let unit = 0; unit < rows[0]!.length; unit++) {
    const column = change(Float64Array.from(rows, (row) => row[unit]!));
    for (const [i, row] of out.entries()) row[unit] = column[i]!;
  }
  return out;
};
const mean = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0) / values.length;

/** Batch normalization in training mode, and other ways to look at the batch; "none" looks at the row alone. */
export const couplings = {
  none: (rows) => rows,
  "batch normalization": (rows) =>
    columns(rows, (column) => {
      const centre = mean(column);
      const deviation = Math.sqrt(mean(column.map((v) => (v - centre) ** 2)) + 1e-5);
      return column.map((v) => (v - centre) / deviation);
    }),
  "mean over the batch": (rows) => columns(rows, (column) => column.map((v) => v - mean(column))),
  "maximum over the batch": (rows) =>
    columns(rows, (column) => column.map((v) => v / (1e-5 + Math.max(...column.map(Math.abs))))),
  "dynamic quantization": (rows) => {
    const scale = Math.max(...rows.map((row) => Math.max(...row.map(Math.abs)))) / 127 || 1;
    return rows.map((row) => row.map((v) => Math.round(v / scale) * scale));
  },
  "softmax over the batch": (rows) =>
    columns(rows, (column) => {
      const top = Math.max(...column);
      const powers = column.map((v) => Math.exp(v - top));
      return powers.map((v) => v / powers.reduce((sum, power) => sum + power, 0));
    }),
  "rank in the batch": (rows) =>
    columns(rows, (column) => {
      const order = [...column].sort((a, b) => a - b);
      return column.map((v) => order.indexOf(v) / column.length);
    }),
} satisfies Record<string, Coupling>;

/** Names of {@link couplings}. */
export type CouplingName = keyof typeof couplings;

/**
 * Linear, coupling, ReLU, linear with random weights, 4 to 32 units, 2 to 10 classes, 4 to 48 pixels. `rounding` adds
 * noise to the logits that depends on the size of the batch, as float32 sums in other orders do.
 */
export function smallNet(coupling: CouplingName, seed: string, rounding = 0): SmallNet {
  const draw = generator(key(seed));
  const pick = <T>(list: readonly T[]) => list[Math.floor(draw() * list.length)]!;
  const pixels = pick([4, 12, 48]);
  const units = pick([4, 8, 32]);
  const numClasses = pick([2, 3, 10]);
  const weights = (name: string, size: number, inputs: number) =>
    normal(key(`${seed}/${name}`), new Float64Array(size), {
      standardDeviation: 1 / Math.sqrt(inputs),
    });
  const [w, b] = [weights("w", units * pixels, pixels), weights("b", units, 4)];
  const [v, c] = [weights("v", numClasses * units, units), weights("c", numClasses, 4)];
  const product = (matrix: Float64Array, bias: Float64Array, x: ArrayLike<number>) =>
    bias.map((start, j) => {
      let sum = start;
      for (let i = 0; i < x.length; i++) sum += matrix[j * x.length + i]! * x[i]!;
      return sum;
    });
  const classify = (batch: Float32Array, [rows = 0]: number[]) => {
    const hidden = Array.from({ length: rows }, (_, i) =>
      product(w, b, batch.subarray(i * pixels, (i + 1) * pixels)),
    );
    return Int32Array.from(couplings[coupling](hidden), (row, i) => {
      const logits = product(v, c, row.map((u) => Math.max(0, u)));
      const noisy = logits.map((l, j) => l + rounding * Math.sin(1 + 7 * j + 13 * rows + 3 * i));
      return noisy.indexOf(Math.max(...noisy));
    });
  };
  return {
    classify,
    image: Float32Array.from({ length: pixels }, draw),
    sigma: pick([0.12, 0.25, 0.5, 1]),
    numClasses,
  };
}

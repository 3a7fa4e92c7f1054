/** Indices and weights of the four source pixels of each target pixel. */
interface Taps {
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/**
 * Resizes a batch `[n, H, W, C]`, bicubic without antialiasing: half-pixel centres, edges repeated, Keys' kernel
 * with a = -0.75, as `interpolate(mode="bicubic", align_corners=False)` of PyTorch and `Resize` of ONNX.
 */
export function resizeBatch(
  batch: Float32Array,
  [n = 0, height = 0, width = 0, channels = 0]: readonly number[],
  [rows, columns]: readonly [number, number],
): Float32Array {
  const out = new Float32Array(n * rows * columns * channels);
  const down = tapsOf(height, rows);
  const across = tapsOf(width, columns);
  const line = width * channels;
  const mixed = new Float64Array(line);
  let at = 0;
  for (let image = 0; image < n; image++)
    for (let y = 0; y < rows; y++) {
      mixRows(batch, image * height * line, line, down, y, mixed);
      for (let x = 0; x < columns; x++)
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let k = 4 * x; k < 4 * x + 4; k++)
            sum += across.weight[k]! * mixed[across.index[k]! * channels + c]!;
          out[at++] = sum;
        }
    }
  return out;
}

/** The row of the source, as wide as that, which target row `y` is made of. */
function mixRows(
  batch: Float32Array,
  start: number,
  line: number,
  { index, weight }: Taps,
  y: number,
  mixed: Float64Array,
): void {
  const [a, b, c, d] = [0, 1, 2, 3].map((k) => start + index[4 * y + k]! * line) as number[];
  const [wa, wb, wc, wd] = weight.subarray(4 * y, 4 * y + 4);
  for (let i = 0; i < line; i++)
    mixed[i] =
      wa! * batch[a! + i]! + wb! * batch[b! + i]! + wc! * batch[c! + i]! + wd! * batch[d! + i]!;
}

function tapsOf(from: number, to: number): Taps {
  const index = new Int32Array(4 * to);
  const weight = new Float64Array(4 * to);
  for (let i = 0; i < to; i++) {
    const position = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(position) - 1;
    for (let k = 0; k < 4; k++) {
      index[4 * i + k] = Math.min(from - 1, Math.max(0, first + k));
      weight[4 * i + k] = cubic(Math.abs(position - first - k));
    }
  }
  return { index, weight };
}

const A = -0.75;

/** Keys' kernel (1981) at a distance of up to 2. */
function cubic(x: number): number {
  return x <= 1 ? ((A + 2) * x - (A + 3)) * x * x + 1 : ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
}

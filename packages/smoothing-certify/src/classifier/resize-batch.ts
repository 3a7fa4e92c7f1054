/** Source pixels of each target pixel, `count` of them, and their weights. */
interface Taps {
  readonly count: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/**
 * Resizes a batch `[n, H, W, C]`, bicubic with half-pixel centres, as `interpolate(mode="bicubic")` of PyTorch. Without antialiasing:
 * edges repeated, Keys' kernel with a = -0.75, as `Resize` of ONNX. With it: a = -0.5, the kernel widened where the image shrinks, and
 * weights divided by their sum at the edges.
 */
export function resizeBatch(
  batch: Float32Array,
  [n = 0, height = 0, width = 0, channels = 0]: readonly number[],
  [rows, columns]: readonly [number, number],
  antialias = false,
): Float32Array {
  const out = new Float32Array(n * rows * columns * channels);
  const tapsOf = antialias ? smoothTaps : plainTaps;
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
          for (let k = across.count * x; k < across.count * (x + 1); k++)
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
  { count, index, weight }: Taps,
  y: number,
  mixed: Float64Array,
): void {
  mixed.fill(0);
  for (let k = count * y; k < count * (y + 1); k++) {
    const [from, share] = [start + index[k]! * line, weight[k]!];
    if (share !== 0) for (let i = 0; i < line; i++) mixed[i]! += share * batch[from + i]!;
  }
}

function plainTaps(from: number, to: number): Taps {
  const index = new Int32Array(4 * to);
  const weight = new Float64Array(4 * to);
  for (let i = 0; i < to; i++) {
    const position = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(position) - 1;
    for (let k = 0; k < 4; k++) {
      index[4 * i + k] = Math.min(from - 1, Math.max(0, first + k));
      weight[4 * i + k] = cubic(position - first - k, -0.75);
    }
  }
  return { count: 4, index, weight };
}

function smoothTaps(from: number, to: number): Taps {
  const widening = Math.max(1, from / to);
  const count = Math.ceil(4 * widening) + 1;
  const index = new Int32Array(count * to);
  const weight = new Float64Array(count * to);
  for (let i = 0; i < to; i++) {
    const centre = ((i + 0.5) * from) / to;
    const first = Math.max(0, Math.trunc(centre - 2 * widening + 0.5));
    const end = Math.min(from, Math.trunc(centre + 2 * widening + 0.5));
    let sum = 0;
    for (let j = first; j < end; j++) sum += cubic((j + 0.5 - centre) / widening, -0.5);
    for (let j = first; j < end; j++) {
      index[count * i + j - first] = j;
      weight[count * i + j - first] = cubic((j + 0.5 - centre) / widening, -0.5) / sum;
    }
  }
  return { count, index, weight };
}

/** Keys' kernel (1981). */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

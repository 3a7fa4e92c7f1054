/** Binary places of the weights. */
export const precisionBits = 22;

/** Where the taps of each output position begin, how many they are, and their weights. */
export interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** `[outputs, size]` weights times 2^22. */
  readonly weights: Int32Array;
  /** Room for weights of one output. */
  readonly size: number;
}

function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/**
 * The taps that bring `inputs` positions to `outputs`, as Pillow computes them: Keys' kernel with a = -0.5, widened by
 * the reduction factor, normalised, in fixed point; of the outputs `first … first + wanted - 1` only.
 */
export function computeTaps(inputs: number, outputs: number, first = 0, wanted = outputs): Taps {
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(wanted);
  const counts = new Int32Array(wanted);
  const weights = new Int32Array(wanted * size);
  const exact = new Float64Array(size);
  for (let output = 0; output < wanted; output++) {
    const center = (first + output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(inputs, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < count; tap++)
      sum += exact[tap] = cubic((tap + start - center + 0.5) * (1 / stretch));
    for (let tap = 0; tap < count; tap++) {
      const fixed = (exact[tap]! / sum) * (1 << precisionBits);
      weights[output * size + tap] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    starts[output] = start;
    counts[output] = count;
  }
  return { starts, counts, weights, size };
}

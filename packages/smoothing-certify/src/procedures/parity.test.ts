import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { readFixture } from "../../../../testing/fixtures.ts";
import type { LogRow } from "../log/log-row.ts";
import type { NoiseSource } from "../noise/noise-source.ts";
import { certify } from "./certify.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { predict } from "./predict.ts";

interface Recorded {
  index: number;
  label: number;
  counts_selection: number[];
  counts_estimation: number[] | null;
  pABar: number;
  prediction: number;
  radius: number;
  predict: Record<string, number>;
  predict_counts: number[];
  predict_p_value: number;
}
const recorded: { cohen: { results: Recorded[] }; dmae: { results: Recorded[] } } = JSON.parse(
  readFileSync(new URL("../__fixtures__/certify.json", import.meta.url), "utf8"),
);
const fixture = readFixture(new URL("../__fixtures__/certify-inputs.safetensors", import.meta.url));
const inputs = fixture.get("x").data as Float32Array;
const labels = fixture.get("labels").data;
const weight = fixture.get("weight").data as Float32Array;
const bias = fixture.get("bias").data as Float32Array;
const gaussian = fixture.get("noise").data as Float32Array;

const size = 192;
const input = (i: number) => inputs.slice(i * size, (i + 1) * size);

/** The recorded noise: estimation samples follow `offset` rows after the selection's. */
function replay(offset: number): NoiseSource {
  return {
    generator: "recorded",
    fill(out, image, { stage, first, count }) {
      const row = first + (stage === "estimation" ? offset : 0);
      for (let i = 0; i < count * size; i++) {
        out[i] = image[i % size]! + Math.fround(0.25 * gaussian[row * size + i]!);
      }
    },
  };
}

/** `weight @ features + bias` for each row. */
function linear(batch: Float32Array, [rows = 0]: number[]): Float32Array {
  const logits = new Float32Array(rows * 10);
  for (let row = 0; row < rows; row++)
    for (let c = 0; c < 10; c++) {
      let sum = bias[c]!;
      for (let i = 0; i < size; i++) sum += weight[c * size + i]! * batch[row * size + i]!;
      logits[row * 10 + c] = sum;
    }
  return logits;
}

/** Bicubic resize to 224 x 224 (a = -0.75, no antialias), then the mean of 28 x 28 blocks, per axis. */
function resizeAndPool(): Float64Array {
  const matrix = new Float64Array(64);
  const cubic = (t: number) => {
    const x = Math.abs(t);
    if (x <= 1) return (1.25 * x - 2.25) * x * x + 1;
    return x < 2 ? ((-0.75 * x + 3.75) * x - 6) * x + 3 : 0;
  };
  for (let out = 0; out < 224; out++) {
    const at = ((out + 0.5) * 8) / 224 - 0.5;
    for (let k = -1; k <= 2; k++) {
      const source = Math.min(7, Math.max(0, Math.floor(at) + k));
      matrix[Math.floor(out / 28) * 8 + source]! += cubic(at - Math.floor(at) - k) / 28;
    }
  }
  return matrix;
}

function dmae(batch: Float32Array, shape: number[]): Float32Array {
  const m = resizeAndPool();
  const features = new Float32Array(batch.length);
  for (let plane = 0; plane < batch.length; plane += 64)
    for (let y = 0; y < 8; y++)
      for (let x = 0; x < 8; x++) {
        let sum = 0;
        for (let v = 0; v < 8; v++)
          for (let u = 0; u < 8; u++)
            sum += m[y * 8 + v]! * m[x * 8 + u]! * batch[plane + v * 8 + u]!;
        features[plane + y * 8 + x] = sum;
      }
  return linear(features, shape);
}

const options = {
  seed: 0,
  sigma: 0.25,
  n0: 100,
  n: 1000,
  alpha: 0.001,
  checkRows: false,
  range: [-9, 9] as const,
};

describe("CERTIFY against locuslab/smoothing, given its noise", () => {
  it.each([400, 1, 1100, 97])(
    "has the same votes, bounds and radii in batches of %i",
    async (batchSize) => {
      const some = batchSize === 400 ? recorded.cohen.results : recorded.cohen.results.slice(8, 11);
      for (const expected of some) {
        const noise = replay(100);
        const result = await certify(linear, input(expected.index), {
          ...options,
          batchSize,
          noise,
        });
        expect(result.counts0).toEqual(expected.counts_selection);
        expect(result.counts).toEqual(expected.counts_estimation);
        expect(result.prediction).toBe(expected.prediction);
        expect(result.abstained).toBe(expected.prediction === -1);
        expect(result.samples).toBe(1100);
        expectClose([result.pLower], [expected.pABar], { relative: 1e-12 });
        expectClose([result.radius], [expected.radius], { relative: 1e-12, absolute: 1e-12 });
        expect(result.radius).toBeLessThanOrEqual(expected.radius * (1 + 1e-15));
      }
    },
  );
});

describe("PREDICT against locuslab/smoothing, given its noise", () => {
  it.each([0.05, 0.001, 1e-6])("has the same votes and answers at alpha = %f", async (alpha) => {
    const { n0: _, ...sampling } = options;
    for (const expected of recorded.cohen.results) {
      const noise = replay(0);
      const result = await predict(linear, input(expected.index), { ...sampling, alpha, noise });
      expect(result.counts).toEqual(expected.predict_counts);
      const key = Object.keys(expected.predict).find((name) => Number(name) === alpha)!;
      expect(result.prediction).toBe(expected.predict[key]);
      expectClose([result.pValue], [expected.predict_p_value], {
        relative: 1e-11,
        absolute: 5e-324,
      });
    }
  });
});

describe("certifyDataset with skipWrongGuess against the official DMAE script, given its noise", () => {
  it("has the same votes, predictions and radii, and draws no estimation after a wrong guess", async () => {
    const dataset = {
      name: "recorded",
      length: 20,
      imageShape: [3, 8, 8] as const,
      numClasses: 10,
      get: (i: number) => ({ image: input(i), label: Number(labels[i]) }),
    };
    const rows: LogRow[] = [];
    const run = { ...options, skipWrongGuess: true, noise: replay(100), range: [-2, 2] as const };
    for await (const row of certifyDataset(dmae, dataset, run)) rows.push(row);
    rows.sort((a, b) => a.idx - b.idx);
    expect(rows.length).toBe(20);
    rows.forEach((row, i) => {
      const expected = recorded.dmae.results[i]!;
      expect(row.counts0).toEqual(expected.counts_selection);
      expect(row.predict).toBe(expected.prediction);
      expect(row.counts).toEqual(expected.counts_estimation ?? []);
      expect(row.samples).toBe(expected.counts_estimation ? 1100 : 100);
      expectClose([row.radius], [expected.radius], { relative: 1e-12, absolute: 1e-12 });
    });
  });
});

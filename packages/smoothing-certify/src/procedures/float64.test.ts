import { type ImageDataset, key, normal } from "@dmae/core";
import { expect, it } from "vitest";
import { freshSeed, noiseSource } from "../noise.ts";
import { noiseInWorkers } from "../workers.ts";
import { certify } from "./certify.ts";
import { certifyAdaptive } from "./certify-adaptive.ts";
import { certifyAtRadius } from "./certify-at-radius.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { predict } from "./predict.ts";
import { certifySoft } from "./soft-votes.ts";

/** Float32 numbers above it are two apart, so it rounds this input to 2^24. */
const input = 2 ** 24 + 1;
const isAbove = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, i) => (batch[i]! > 2 ** 24 ? [0, 50] : [50, 0]));
const options = { seed: 1, sigma: 1, range: [0, 2 ** 25] as const, checkRows: false };

/** What copies of the input are above 2^24: x + z > 2^24 + 1, one half. Of its rounding: z > 1, 0.16. */
it.each([
  [[input]],
  [Float64Array.of(input)],
  [Int32Array.of(input)],
  [{ data: [input], shape: [1] }],
])("%o is not rounded before noise is added", async (x) => {
  const { counts, abstained } = await certify(isAbove, x as number[], options);
  expect(Math.abs(counts[1]! - 5000)).toBeLessThan(250); // five standard deviations
  expect(abstained).toBe(true);
  const rounded = await certify(isAbove, [2 ** 24], options);
  expect(rounded).toMatchObject({ prediction: 0, abstained: false }); // false of the input
});

it("by no procedure, and not in a data set", async () => {
  const n = { ...options, n: 1000 };
  const results = {
    predict: await predict(isAbove, [input], n),
    soft: await certifySoft(isAbove, [input], n),
    adaptive: await certifyAdaptive(isAbove, [input], options),
    radius: await certifyAtRadius(isAbove, [input], { ...options, radius: 0.5 }),
  };
  for (const [name, { prediction }] of Object.entries(results)) expect(prediction, name).toBe(-1);
  const dataset: ImageDataset = {
    name: "one",
    length: 1,
    imageShape: [1, 1, 1],
    numClasses: 2,
    get: () => ({ image: Float64Array.of(input) as never, label: 0 }),
  };
  for await (const row of certifyDataset(isAbove, dataset, n)) expect(row.predict).toBe(-1);
});

it("the sum is taken in float64 and rounded once, in every law and in threads", async () => {
  const x = Float64Array.from({ length: 300 }, (_, i) => i / 300);
  const settings = { seed: 3, sigma: 0.5 };
  const address = { image: 2, stage: "estimation", first: 0, count: 400 } as const;
  const one = { ...address, first: 7, count: 1 };
  for (const distribution of ["gaussian", "uniform", "laplace"] as const) {
    const noisy = new Float32Array(x.length);
    const noise = new Float64Array(x.length);
    noiseSource({ ...settings, distribution }).fill(noisy, x, one);
    const zero = new Float32Array(x.length);
    noiseSource({ ...settings, distribution }).fill(zero, new Float64Array(x.length), one);
    for (let i = 0; i < x.length; i++) noise[i] = noisy[i]! - x[i]!;
    for (let i = 0; i < x.length; i++) expect(Math.abs(noise[i]! - zero[i]!)).toBeLessThan(2e-7);
  }
  const z = normal(key("z"), new Float64Array(300));
  const mixed = normal(key("z"), new Float32Array(300), { mean: x, standardDeviation: 0.5 });
  expect(mixed).toEqual(Float32Array.from(z, (value, i) => x[i]! + 0.5 * value));
  const threads = await noiseInWorkers(settings, { workers: 1 });
  const [here, there] = [new Float32Array(300 * 400), new Float32Array(300 * 400)];
  noiseSource(settings).fill(here, x, address);
  await threads.fill(there, x, address);
  await threads.close();
  expect(there).toEqual(here);
});

it("refuses what no float32 copy can hold, and fresh seeds are integers", async () => {
  const run = certify(isAbove, [1e39], { sigma: 1, numClasses: 2, range: [0, 1e40] });
  await expect(run).rejects.toThrow("range must be [low, high] with finite numbers low < high");
  expect(Number.isSafeInteger(freshSeed())).toBe(true);
});

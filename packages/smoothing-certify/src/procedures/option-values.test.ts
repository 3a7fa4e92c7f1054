import { DmaeError } from "@dmae/core";
import { expect, it } from "vitest";
import { halves } from "../__fixtures__/steps.ts";
import { image } from "../classifier/image-source.ts";
import { createCertifier } from "../server/certifier.ts";
import { attack } from "./attack/attack.ts";
import { certify } from "./certify.ts";
import { certifyAdaptive, certifyDatasetAdaptive } from "./certify-adaptive.ts";
import { certifyAtRadius, certifyDatasetAtRadius } from "./certify-at-radius.ts";
import { certifyMultiLabel, certifySegmentation } from "./certify-components.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { certifyRegression } from "./certify-regression.ts";
import { certifyDatasetPatch, certifyPatch } from "./patch/certify-patch.ts";
import { plan } from "./plan.ts";
import { predict } from "./predict.ts";
import { preflight } from "./preflight.ts";

// Values of the wrong kind are refused before any work, by every call that has the option.

const x = [0.3];
const data = {
  ...{ name: "one", length: 2, imageShape: [1, 1, 1] as const, numClasses: 2 },
  get: () => ({ image: Float32Array.of(0.3), label: 1 }),
};
const sigma = 0.5;
const pixel = { data: x, shape: [1, 1, 1] };
const patch = { ablation: { columns: 1 }, numClasses: 2 };

type Call = (options: object) => Promise<unknown>;
const single: Record<string, Call> = {
  certify: (options) => certify(halves, x, { sigma, n: 20, ...options }),
  predict: (options) => predict(halves, x, { sigma, n: 20, ...options }),
  certifyAdaptive: (options) => certifyAdaptive(halves, x, { sigma, maxSamples: 99, ...options }),
  certifyAtRadius: (options) =>
    certifyAtRadius(halves, x, { sigma, radius: 0.1, maxSamples: 20, ...options }),
  certifyRegression: (options) =>
    certifyRegression(halves, x, { sigma, radius: 0.1, n: 99, alpha: 0.1, ...options }),
  certifySegmentation: (options) =>
    certifySegmentation(halves, x, { sigma, numClasses: 2, n: 20, alpha: 0.1, ...options }),
  certifyMultiLabel: (options) => certifyMultiLabel(halves, x, { sigma, n: 50, ...options }),
  attack: (options) => attack(halves, x, { sigma, n: 20, ...options }),
};
const ofData: Record<string, Call> = {
  certifyDataset: (options) => certifyDataset(halves, data, { sigma, n: 20, ...options }).toArray(),
  certifyDatasetPatch: (options) =>
    certifyDatasetPatch(halves, data, { ...patch, ...options }).toArray(),
};
const others: Record<string, Call> = {
  certifyPatch: (options) => certifyPatch(halves, pixel, { patch: 1, ...patch, ...options }),
  preflight: (options) => preflight(halves, data, { sigma, n: 20, ...options }),
  plan: (options) => plan(halves, data, { goal: { radius: 0.1 }, sigmas: [sigma], ...options }),
  createCertifier: (options) => createCertifier(halves, { sigma, shape: [1], ...options }),
};

const refused = (calls: Record<string, Call>, name: string, values: readonly unknown[]) =>
  Object.entries(calls).flatMap(([caller, call]) =>
    values.map((value) => [caller, name, value, call] as const),
  );
const { certifyDatasetPatch: _, ...sampledData } = ofData;
const { certifyPatch: __, plan: ___, createCertifier: ____, ...sampledOthers } = others;
const sampled = { ...single, ...sampledData, ...sampledOthers };
const { createCertifier: _____, ...stoppable } = { ...single, ...ofData, ...others };
const { plan: ______, ...checked } = { ...single, ...ofData, ...others };

it.each([
  ...refused(stoppable, "signal", ["x", {}, 1]),
  ...refused(checked, "checkRows", ["no", 0, null]),
  ...refused({ ...single, ...others }, "input", ["arrays", true]),
  ...refused({ ...sampled, plan: others.plan! }, "seed", [null, -1, 0.5, Number.NaN, {}]),
  ...refused(sampled, "randomized", ["yes", 1]),
  ...refused(sampled, "distribution", ["cauchy", null]),
  ...refused({ certify: single.certify!, preflight: others.preflight! }, "sound", ["yes", 1]),
  ...refused({ certify: single.certify!, predict: single.predict! }, "noise", ["x", {}, 0]),
  ...refused(ofData, "indices", ["0", 0, new Set([0])]),
  ...refused(ofData, "onProgress", ["x", {}]),
  ...refused(ofData, "log", [null, 5, {}]),
  ...refused(ofData, "model", [5, {}]),
  ...refused(ofData, "fingerprint", [5, 5n]),
  ...refused({ preflight: others.preflight! }, "batchSize", [0, null, -1, 0.5]),
  ...refused({ preflight: others.preflight! }, "images", [0, -1, "x", null]),
  ...refused({ preflight: others.preflight! }, "range", ["x", [1, 0]]),
  ...refused({ createCertifier: others.createCertifier! }, "shape", [[], [0], "1", undefined]),
])("%s refuses %s: %o", async (_caller, name, value, call) => {
  const error = await call({ [name]: value }).then(
    () => "no error",
    (error: unknown) => error,
  );
  expect(DmaeError.isInstance(error), String(error)).toBe(true);
  expect((error as DmaeError).message).toMatch(
    new RegExp(`^\\w+: (the )?${name}( and crop)? must be`),
  );
});

it.each([null, [], [8], [8, 0], "8", 0.5])("image refuses size: %o", async (size) => {
  const pixels = { data: new Uint8Array(4 * 64), width: 8, height: 8 };
  await expect(image(pixels, { size } as never)).rejects.toThrow(/image: size .*must be/);
});

it("repeats a pilot from its seed, which it states", async () => {
  const run = (seed?: number) =>
    plan(halves, data, {
      goal: { radius: 0.28 },
      sigmas: [0.5],
      ...(seed !== undefined && { seed }),
    });
  const first = await run();
  expect(await run(first.seed as number)).toEqual(first);
  const accuracies = async (seed: number) => (await run(seed)).runs.map((each) => each.accuracy);
  expect(await accuracies(1)).not.toEqual(await accuracies(2));
});

const sized = { ...data, imageShape: [2, 1, 1] };
const dataCalls: Record<string, (dataset: never) => Promise<unknown>> = {
  certifyDataset: (dataset) => certifyDataset(halves, dataset, { sigma, n: 20 }).toArray(),
  certifyDatasetAtRadius: (dataset) =>
    certifyDatasetAtRadius(halves, dataset, { sigma, radius: 0.1, maxSamples: 20 }).toArray(),
  certifyDatasetAdaptive: (dataset) =>
    certifyDatasetAdaptive(halves, dataset, { sigma, maxSamples: 99 }).toArray(),
  certifyDatasetPatch: (dataset) => certifyDatasetPatch(halves, dataset, patch).toArray(),
  preflight: (dataset) => preflight(halves, dataset, { sigma, n: 20 }),
  plan: (dataset) => plan(halves, dataset, { goal: { radius: 0.1 }, sigmas: [sigma] }),
};
const item = (image: unknown, label: unknown) => ({ ...data, get: () => ({ image, label }) });

it.each(
  Object.entries(dataCalls).flatMap(([caller, call]) =>
    [
      [null, "the data set must have length, imageShape"],
      [undefined, "the data set must have length, imageShape"],
      ["fashion-mnist", "the data set must have length, imageShape"],
      [{ ...data, get: undefined }, "the data set must have length, imageShape"],
      [{ ...data, length: "2" }, "the data set must have images"],
      [{ ...data, imageShape: undefined }, "the data set must have imageShape"],
      [sized, "image 0 must have 2 numbers for shape [2,1,1], got 1"],
      [item([Number.NaN], 0), "image 0: x must be finite, got NaN"],
      [item([0.5], 2), "label of image 0 must be an integer in [0, 2), got 2"],
      [item([0.5], "1"), 'label of image 0 must be an integer in [0, 2), got "1"'],
    ].map(([dataset, message]) => [caller, message as string, dataset, call] as const),
  ),
)("%s says of a data set: %s", async (_caller, message, dataset, call) => {
  const error = await call(dataset as never).then(
    () => "no error",
    (error: unknown) => error,
  );
  expect(DmaeError.isInstance(error), String(error)).toBe(true);
  expect((error as DmaeError).message).toContain(message);
});

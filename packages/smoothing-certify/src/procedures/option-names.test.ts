import { expect, it } from "vitest";
import { halves, steps } from "../__fixtures__/steps.ts";
import { certify } from "./certify.ts";
import { certifyAdaptive, certifyDatasetAdaptive } from "./certify-adaptive.ts";
import { certifyAtRadius, certifyDatasetAtRadius } from "./certify-at-radius.ts";
import { certifyDataset } from "./certify-dataset.ts";
import { predict } from "./predict.ts";
import { certifySoft } from "./soft-votes.ts";

const x = [0.5];
const data = steps(4);
const procedures = {
  certify: (options) => certify(halves, x, options),
  predict: (options) => predict(halves, x, options),
  certifySoft: (options) => certifySoft(halves, x, options),
  certifyAdaptive: (options) => certifyAdaptive(halves, x, options),
  certifyAtRadius: (options) => certifyAtRadius(halves, x, options),
  certifyDataset: (options) => certifyDataset(halves, data, options).next(),
  certifyDatasetAdaptive: (options) => certifyDatasetAdaptive(halves, data, options).next(),
  certifyDatasetAtRadius: (options) => certifyDatasetAtRadius(halves, data, options).next(),
} satisfies Record<string, (options: never) => Promise<unknown>>;

const wrong: readonly [given: object, message: string][] = [
  [{ alhpa: 0.5 }, 'unknown option "alhpa"; did you mean "alpha"?'],
  [{ batchsize: 2 }, 'unknown option "batchsize"; did you mean "batchSize"?'],
  [{ sead: undefined }, 'unknown option "sead"; did you mean "seed"?'],
];

it.each(Object.entries(procedures))("%s refuses options that do not exist", async (name, run) => {
  for (const [given, message] of wrong)
    await expect(run({ ...given, sigma: 0.5 } as never)).rejects.toThrow(message);
  await expect(run(undefined as never)).rejects.toThrow(`${name}: options must be an object`);
});

it("looks into shard", async () => {
  const options = { sigma: 0.5, shard: { index: 0, cuont: 2 } } as never;
  await expect(certifyDataset(halves, data, options).next()).rejects.toThrow(
    'certifyDataset: unknown option "shard.cuont"; did you mean "shard.count"?',
  );
});

import { DmaeError, key } from "@dmae/core";
import { expect, it } from "vitest";
import {
  arrayDataset,
  batches,
  batchLoader,
  fashionMnist,
  loadCifar10,
  loadIdx,
  loadImageFolder,
  splitDataset,
  synthetic,
} from "./index.ts";
import { resize, resizePixels } from "./transforms.ts";

// Values of the wrong kind are refused by name, before any work.

const data = synthetic({ length: 4, imageShape: [2, 2, 3], numClasses: 2, key: key(0) });
const bytes = { name: "a", images: new Uint8Array(4), imageShape: [1, 2, 1], numClasses: 2 };
const first = async (values: AsyncIterable<unknown>) => {
  for await (const value of values) return value;
  return undefined;
};

const calls: Record<string, (options: object) => unknown> = {
  loadImageFolder: (options) => loadImageFolder("nowhere", options),
  fashionMnist: (options) => fashionMnist(options as never),
  loadIdx: (options) => loadIdx("nowhere", options as never),
  loadCifar10: (options) => loadCifar10("nowhere", options as never),
  synthetic: (options) => synthetic({ length: 4, key: key(0), ...options }),
  arrayDataset: (options) => arrayDataset({ ...bytes, labels: [0, 1], ...options } as never),
  batches: (options) => first(batches(data, { batchSize: 2, ...options } as never)),
  batchLoader: (options) => batchLoader(data, { batchSize: 2, ...options }),
  splitDataset: (options) => splitDataset(data, options),
};
const refused = (names: readonly string[], option: string, values: readonly unknown[]) =>
  names.flatMap((name) => values.map((value) => [name, option, value] as const));
const loaders = ["loadImageFolder", "fashionMnist", "loadIdx", "loadCifar10"];

it.each([
  ...refused([...loaders, "synthetic"], "split", ["val", "", null, 0]),
  ...refused(["loadImageFolder"], "name", [5, null]),
  ...refused(["loadImageFolder"], "transform", ["x", {}, 5]),
  ...refused(["loadImageFolder"], "maxPixels", [0, Number.NaN, "1"]),
  ...refused(["loadImageFolder"], "indexFile", [true, 5, null]),
  ...refused(["loadIdx", "loadCifar10"], "maxBytes", [0, "1"]),
  ...refused(["synthetic", "arrayDataset"], "imageShape", [null, "2", [2, 2], 5, [2, 0, 1]]),
  ...refused(["synthetic"], "numClasses", [1e300, 0]),
  ...refused(["arrayDataset"], "labels", [null, undefined, 5]),
  ...refused(["batches", "batchLoader"], "prefetch", [1e300, -1, "2"]),
  ...refused(["batches", "batchLoader"], "transform", ["x", {}, 5]),
  ...refused(["batches", "batchLoader"], "workers", ["2", {}, -1, true]),
  ...refused(["batches", "batchLoader"], "noiseKeys", ["x", {}]),
  ...refused(["batches", "batchLoader"], "batchSize", [1e300, "2", 0]),
  ...refused(["splitDataset"], "test", ["0.2", null, 1]),
])("%s refuses %s: %o", async (name, option, value) => {
  const run = async () => calls[name]!({ [option]: value });
  const error = await run().then(
    () => "no error",
    (error: unknown) => error,
  );
  expect(DmaeError.isInstance(error), String(error)).toBe(true);
  expect((error as DmaeError).message).toMatch(new RegExp(`^${name}: ${option} must`));
});

it("refuses sizes that no image has", () => {
  for (const size of [0, 0.5, 16385, 1e300, "32", null])
    expect(() => resize(size as number)).toThrow("resize: size must be an integer of 1 to 16384");
  const dot = { data: new Uint8Array(3), height: 1, width: 1, channels: 3 };
  expect(() => resizePixels(dot, 2 ** 15, 2 ** 15)).toThrow("32768 x 32768 pixels are too many");
});

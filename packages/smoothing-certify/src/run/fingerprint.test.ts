import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { steps } from "../__fixtures__/steps.ts";
import type { Classifier } from "../classifier/classifier.ts";
import { inWorkers } from "../classifier/classifier-workers.ts";
import { denoised, ensemble } from "../classifier/combine.ts";
import { fromOnnx } from "../classifier/from-onnx.ts";
import { readLog, writeLog } from "../log/log-file.ts";
import { mergeLogs } from "../log/merge.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";

const folders = temporaryFolders("fingerprint");
let folder: string;
beforeEach(() => {
  folder = folders();
});

const file = (name: string) => join(folder, name);
const above = (threshold: number) => ({
  name: "classify",
  predict: (batch: Float32Array, [n = 0]: number[]) =>
    Array.from({ length: n }, (_, i) => (batch[i]! > threshold ? 1 : 0)),
});
const colours = {
  ...steps(6),
  imageShape: [4, 4, 3] as [number, number, number],
  numClasses: 3,
  get: (i: number) => ({ image: new Float32Array(48).fill(i / 6), label: i % 3 }),
};

async function run(classifier: Classifier, log: string, more: object = {}, data = steps(6)) {
  const rows = [];
  const options = { sigma: 0.5, n0: 10, n: 20, log: file(log), ...more };
  for await (const row of certifyDataset(classifier, data, options)) rows.push(row);
  return rows;
}

describe("a log", () => {
  it("is continued with the same classifier, and not with another one of its name", async () => {
    await run(above(0.3), "log", { max: 3 });
    expect(await run(above(0.3), "log")).toHaveLength(6);
    await expect(run(above(0.7), "log")).rejects.toMatchObject({
      code: "resume",
      message: expect.stringMatching(
        /made with other settings \(classifier [0-9a-f]{32} there, [0-9a-f]{32} now\).*; classifier is a fingerprint of the model's files, its preprocessing and its classes on 64 probe images/,
      ),
    });
    const given = { fingerprint: "weights of Monday" };
    await expect(run(above(0.3), "log", given)).rejects.toMatchObject({ code: "resume" });
  });

  it("is not continued with another model file of its name, nor with other preprocessing", async () => {
    const [a, b] = [file("model.onnx"), join(folders(), "model.onnx")];
    copyFileSync(new URL("../__fixtures__/small.onnx", import.meta.url), a);
    copyFileSync(new URL("../__fixtures__/static-int8.onnx", import.meta.url), b);
    const normalize = { mean: [0, 0, 0], std: [1, 1, 1.0001] };
    const open = [() => fromOnnx(a), () => fromOnnx(b), () => fromOnnx(a, normalize)];
    await run(await open[0]!(), "log", { max: 3 }, colours);
    expect(await run(await open[0]!(), "log", { max: 4 }, colours)).toHaveLength(4);
    for (const other of open.slice(1))
      await expect(run(await other(), "log", {}, colours)).rejects.toMatchObject({
        code: "resume",
        details: { changed: ["classifier"] },
      });
    // the same bytes under another name are another model for the log's reader, and the same classifier
    const bytes = await fromOnnx(new Uint8Array(readFileSync(a)));
    expect(await run(bytes, "log", { model: "model.onnx" }, colours)).toHaveLength(6);
  });

  it("is not continued with other images, and says that it sees eight of them", async () => {
    await run(above(0.3), "log", { max: 3 });
    const other = { ...steps(6), get: (i: number) => steps(6).get(i === 5 ? 4 : i) };
    await expect(run(above(0.3), "log", {}, other)).rejects.toMatchObject({
      code: "resume",
      details: { changed: ["data"] },
    });
  });

  it("is not continued with another range of pixels", async () => {
    const all = { fingerprint: "f", max: 3 };
    expect((await run(above(0.3), "log", all))[0]!.settings).not.toHaveProperty("range");
    await expect(run(above(0.3), "log", { ...all, range: [0, 255] })).rejects.toMatchObject({
      code: "resume",
      details: { changed: expect.arrayContaining(["range"]) },
    });
    expect((await run(above(0.3), "2", { range: [-1, 1] }))[0]!.settings!.range).toBe("-1,1");
  });

  it("of an older version can be read, not continued", async () => {
    const rows = await run(above(0.3), "log", { max: 3 });
    const old = rows.map(({ settings, ...row }) => {
      const { classifier: _, data: __, ...before } = settings!;
      return { ...row, settings: before as typeof settings & object };
    });
    await writeLog(file("old"), old);
    expect(await readLog(file("old"))).toHaveLength(3);
    await expect(run(above(0.3), "old")).rejects.toThrow(
      "logs of older versions can be analysed, not continued",
    );
  });

  it("is merged with shards of the same classifier and data only", async () => {
    const shard = (index: number) => ({ shard: { index, count: 2 } });
    await run(above(0.3), "0", shard(0));
    await run(above(0.7), "other", shard(1));
    await run(above(0.3), "1", shard(1));
    expect(await mergeLogs([file("0"), file("1")])).toHaveLength(6);
    await expect(mergeLogs([file("0"), file("other")])).rejects.toThrow(
      /other settings than the logs before it: classifier [0-9a-f]{32} and [0-9a-f]{32}/,
    );
  });
});

it("wrappers know what they are made of", async () => {
  const small = await fromOnnx(new URL("../__fixtures__/small.onnx", import.meta.url));
  const other = await fromOnnx(new URL("../__fixtures__/static-int8.onnx", import.meta.url));
  const module = (name: string) => new URL(`../__fixtures__/${name}.mjs`, import.meta.url);
  const workers = await inWorkers(module("halves"), { workers: 1 });
  const logits = await inWorkers(module("halves"), { workers: 1, export: "logits" });
  const blur = (batch: Float32Array) => batch;
  const made = [
    small,
    other,
    workers,
    logits,
    ensemble([small, other]),
    ensemble([small, other], "vote"),
    ensemble([small, small]),
    denoised(blur, small),
    denoised(blur, other),
    denoised((batch: Float32Array) => batch, small),
  ].map(({ fingerprint }) => fingerprint);
  expect(new Set(made).size).toBe(made.length);
  for (const threads of [workers, logits]) await threads.dispose();
});

it("weights in a file of their own belong to a model's fingerprint", async () => {
  const source = (name: string) => new URL(`../__fixtures__/${name}`, import.meta.url);
  for (const name of ["external.onnx", "external.bin"]) copyFileSync(source(name), file(name));
  const fingerprint = async () => {
    const model = await fromOnnx(file("external.onnx"));
    await model.dispose();
    return model.fingerprint;
  };
  const first = await fingerprint();
  expect(await fingerprint()).toBe(first);
  const weights = readFileSync(file("external.bin"));
  weights[weights.length - 20]! ^= 1; // a last bit of a weight, which changes no class
  writeFileSync(file("external.bin"), weights);
  expect(await fingerprint()).not.toBe(first);
});

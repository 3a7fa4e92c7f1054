import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { decodeSafetensors, saveSafetensors } from "@dmae/checkpoint";
import { createConvNet } from "@dmae/convnet";
import { foldIn, key, normal } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { disposeTensors, eagerExecutor, selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reproduce } from "./reproduce.ts";
import { makeSoftLabels, readSoftLabels } from "./soft-labels.ts";
import { failure } from "./testing/failure.ts";
import { temporaryFolder, writeBinary } from "./testing/image-files.ts";
import { testRecipes } from "./testing/recipes.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (...parts: string[]) => join(place.folder, ...parts);
beforeAll(async () => {
  place = await temporaryFolder();
  await writeBinary(at("binary"));
  await selectBackend("cpu");
});
afterAll(() => place.dispose());

test("counts the answers of a classifier to 100 noisy copies, and goes on with what is kept", async () => {
  const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
  const params = model.initHost(key(2));
  const data = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 3 });
  const file = at("counted.safetensors");
  const stop = new AbortController();
  const options = { executor: eagerExecutor(), sigma: 0.25, file };
  const stopped = makeSoftLabels(model, params, data, {
    ...options,
    signal: stop.signal,
    onProgress: (done) => done === 2 && stop.abort(new Error("stopped")),
  });
  await expect(stopped).rejects.toThrow("stopped");
  expect((await readSoftLabels(file)).shape).toEqual([2, 3]);
  const seen: number[] = [];
  const onProgress = (done: number) => seen.push(done);
  const made = await makeSoftLabels(model, params, data, { ...options, onProgress });
  expect(made.shape).toEqual([3, 3]);
  expect(seen).toEqual([3]);
  const weights = toTensors(params);
  for (const index of [0, 1, 2]) {
    const { image } = await data.get(index);
    const counts = [0, 0, 0];
    for (let copy = 0; copy < 100; copy++) {
      const noise = normal(foldIn(key("soft labels"), copy), image.length, { index });
      const noisy = image.map((value, i) => value + 0.25 * noise[i]!);
      const [answer] = tf.tidy(() =>
        tf.argMax(model.logits(weights, tf.tensor(noisy, [1, 16, 16, 1])), 1).dataSync(),
      );
      counts[answer!]!++;
    }
    const row = Array.from(made.data.subarray(3 * index, 3 * index + 3), (v) => 100 * Number(v));
    expect(row.map(Math.round)).toEqual(counts);
  }
  disposeTensors(weights);
  const prepareFunction = () => Promise.reject(new Error("not needed"));
  const unused = { ...options, executor: { ...eagerExecutor(), prepareFunction } };
  expect((await makeSoftLabels(model, params, data, unused)).data).toEqual(made.data);
  const fewer = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 2 });
  const others = [
    ["data 2 images of synthetic/train, the first ", params, fewer, {}],
    [
      "sigma 1, got 0.25; name another file, or delete it to make it anew",
      params,
      data,
      { sigma: 1 },
    ],
    ["classifier ", model.initHost(key(3)), data, {}],
  ] as const;
  for (const [message, weights, images, change] of others)
    await expect(makeSoftLabels(model, weights, images, { ...unused, ...change })).rejects.toThrow(
      `makeSoftLabels: ${file} must be of the ${message}`,
    );
});

test("of two at once one makes each label, and the other waits for it", async () => {
  const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
  const params = model.initHost(key(2));
  const data = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 3 });
  const [file, eager] = [at("shared", "labels.safetensors"), eagerExecutor()];
  await mkdir(at("shared"));
  let counted = 0;
  const prepareFunction: typeof eager.prepareFunction = async (definition) => {
    const prepared = await eager.prepareFunction(definition);
    const counting = (...inputs: Parameters<typeof prepared>) => {
      counted++;
      return prepared(...inputs);
    };
    return Object.assign(counting, { dispose: () => prepared.dispose() });
  };
  const options = { executor: { ...eager, prepareFunction }, sigma: 0.25, file };
  const make = () => makeSoftLabels(model, params, data, options);
  const [one, two] = await Promise.all([make(), make()]);
  expect(counted).toBe(3);
  expect(two).toEqual(one);
  expect((await readSoftLabels(file)).data).toEqual(one.data);
  expect(await readdir(at("shared"))).toEqual(["labels.safetensors"]);
});

test("an error loses none of the labels that are made", async () => {
  const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
  const params = model.initHost(key(2));
  const whole = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 3 });
  const get = (index: number) => {
    if (index === 2) throw new Error("damaged image");
    return whole.get(index);
  };
  const file = at("damaged.safetensors");
  const options = { executor: eagerExecutor(), sigma: 0.25, file };
  const made = makeSoftLabels(model, params, { ...whole, get }, options);
  await expect(made).rejects.toThrow("damaged image");
  expect((await readSoftLabels(file)).shape).toEqual([2, 3]);
});

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const example = { name: "test", recipes: testRecipes, runs: at("runs") };
  const say = (line: string) => lines.push(line);
  await reproduce({ ...example, say }, [...args, "--data", at("binary")]);
  return lines;
}

const smoke = (recipe: string, folder: string, ...args: string[]) =>
  run("--recipe", recipe, "--smoke", "--folder", at(folder), ...args);

const catRs = ["--set", 'method={"name":"catRs","copies":2,"epsilon":1,"steps":2,"lambda":1}'];

test("DMAE with CAT-RS is one field of a recipe, and takes the soft labels of another run", async () => {
  await smoke("cr", "teacher", "--stage", "finetune");
  const taught = [...catRs, "--soft-labels", at("teacher")];
  expect((await smoke("cr", "taught", ...taught, "--dry-run")).at(-1)).toBe(
    `soft labels       by cr in ${at("teacher")}, at sigma 0.25`,
  );
  const lines = await smoke("cr", "taught", ...taught);
  const file = at("teacher", "soft-labels.safetensors");
  expect(lines).toContainEqual(expect.stringContaining(`soft labels: ${file}`));
  const { softLabels } = decodeSafetensors(await readFile(file)).tensors;
  expect(softLabels!.shape).toEqual([20, 10]);
  // They change the result, and a file of them is as good as the run that they come from.
  const bytes = (run: string) => readFile(at(run, "finetune", "model.safetensors"));
  await smoke("cr", "by-file", ...catRs, "--soft-labels", file, "--stage", "finetune");
  await smoke("cr", "even", ...catRs, "--stage", "finetune");
  expect((await bytes("by-file")).equals(await bytes("taught"))).toBe(true);
  expect((await bytes("even")).equals(await bytes("taught"))).toBe(false);
  await rm(at("by-file", "finetune", "model.safetensors")); // as if it had been killed
  const other = await failure(smoke("cr", "by-file", ...catRs, "--stage", "finetune"));
  expect(other).toMatchObject({
    code: "resume",
    message: expect.stringMatching(/softLabels/),
  });
});

test("soft labels that are missing, out of place or of another shape are told before training, and in the plan", async () => {
  const other = at("other-labels.safetensors");
  const tensor = (rows: number, classes: number) => ({
    dtype: "float32" as const,
    shape: [rows, classes],
    data: new Float32Array(rows * classes),
  });
  await saveSafetensors(other, { softLabels: tensor(20, 3) });
  const few = at("few-labels.safetensors");
  await saveSafetensors(few, { softLabels: tensor(19, 10) });
  const dry = (...args: string[]) => failure(run("--dry-run", "--no-measure", ...args));
  expect((await dry("--recipe", "cr", ...catRs)).message).toMatch(
    /^--soft-labels: cr trains by catRs, which needs .* name its run folder, .* softLabels \[images, classes\]$/,
  );
  const full = run(
    ...["--recipe", "boosting", "--folder", at("e10"), ...catRs],
    ...["--set", "training.batchSize=4", "--set", "accumulate=1"],
  );
  expect((await failure(full)).message).toContain("--soft-labels: boosting trains by catRs");
  expect((await dry("--recipe", "cr", "--soft-labels", few)).message).toContain(
    "--soft-labels: cr trains without soft labels",
  );
  for (const [source, message] of [
    [other, "must hold a tensor softLabels [images, 10], got [20,3]"],
    [at("foreign-run"), "cannot read"],
    [at("binary"), "must be the run folder of a trained classifier"],
  ] as const) {
    const error = await failure(smoke("cr", "e11", ...catRs, "--soft-labels", source, "--dry-run"));
    expect(error.message).toContain(message);
  }
  const short = failure(smoke("cr", "e12", ...catRs, "--soft-labels", few));
  expect((await short).message).toContain(
    "must have a row for each of the 20 training images, got 19",
  );
});

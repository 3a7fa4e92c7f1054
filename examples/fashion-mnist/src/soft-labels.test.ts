import { saveSafetensors } from "@dmae/checkpoint";
import { createConvNet } from "@dmae/convnet";
import { foldIn, key, normal } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { disposeTensors, eagerExecutor, selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { softLabels } from "./soft-labels.ts";

const scratch = temporaryFolders("soft-labels");
const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
const params = model.initHost(key(2));
const data = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 2 });

beforeAll(() => selectBackend("cpu"));

it("counts the answers of the trained classifier to 100 noisy copies, once", async () => {
  const trained = scratch();
  await saveSafetensors(`${trained}/model.safetensors`, params);
  const file = `${trained}/soft-labels.safetensors`;
  const executor = eagerExecutor();
  const made = await softLabels(model, data, { trained, file, executor });
  expect(made.shape).toEqual([2, 3]);
  const weights = toTensors(params);
  for (const index of [0, 1]) {
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
  const unused = { trained: "nowhere", file, executor: {} as never };
  expect((await softLabels(model, data, unused)).data).toEqual(made.data);
});

it("asks for the finished row", async () => {
  const options = { trained: "nowhere", file: "nowhere/x", executor: eagerExecutor() };
  await expect(softLabels(model, data, options)).rejects.toThrow(
    "catRs: soft labels come from the finished row gaussian-0.25, got none in nowhere; run --row gaussian-0.25 first",
  );
});

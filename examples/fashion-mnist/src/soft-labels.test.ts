import "@tensorflow/tfjs-backend-cpu";
import { saveSafetensors } from "@dmae/checkpoint";
import { createConvNet } from "@dmae/convnet";
import { key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { makeSoftLabels } from "@dmae/reproduce/soft-labels";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { softLabels } from "./soft-labels.ts";

const scratch = temporaryFolders("soft-labels");
const model = createConvNet("lenet", { inputSize: 16, numClasses: 3 });
const params = model.initHost(key(2));
const data = synthetic({ key: key(1), imageShape: [16, 16, 1], numClasses: 3, length: 2 });
const executor = eagerExecutor();

beforeAll(() => selectBackend("cpu"));

it("takes the answers of the trained row at sigma 0.25, and a kept file as it is", async () => {
  const trained = scratch();
  await saveSafetensors(`${trained}/model.safetensors`, params);
  const file = `${trained}/soft-labels.safetensors`;
  const expected = await makeSoftLabels(model, params, data, {
    ...{ executor, sigma: 0.25, file: `${trained}/expected.safetensors` },
  });
  expect(await softLabels(model, data, { trained, file, executor })).toEqual(expected);
  const unused = { trained: "nowhere", file, executor: {} as never };
  expect((await softLabels(model, data, unused)).data).toEqual(expected.data);
});

it("asks for the finished row", async () => {
  const options = { trained: "nowhere", file: "nowhere/x", executor };
  await expect(softLabels(model, data, options)).rejects.toThrow(
    "catRs: soft labels come from the finished row gaussian-0.25, got none in nowhere; run --row gaussian-0.25 first",
  );
});

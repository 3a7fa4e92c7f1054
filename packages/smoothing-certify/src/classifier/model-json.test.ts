import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import * as layers from "@tensorflow/tfjs-layers";
import { describe, expect, it } from "vitest";
import { expectNoLeak } from "../../../../testing/tensors.ts";
import { main } from "../cli/cli-main.ts";
import { parseLog } from "../log/log-reader.ts";
import { certify } from "../procedures/certify.ts";
import { fromModelJson } from "./model-json.ts";
import { resizeBatch } from "./resize-batch.ts";

const folder = () => mkdtempSync(join(tmpdir(), "smoothing-model-json-"));

/** Logits of [2, 2, 1] images: rows of `weights` by pixel, one column for each class, then `bias`. */
const weights = [0.5, -1, 2, 1, -0.5, 0.25, -2, 1, 0.5, 0.3, 0.2, -0.4];
const bias = [0.1, 0, -0.1];
const logits = (x: readonly number[]) =>
  bias.map((b, c) => x.reduce((sum, v, i) => sum + v * weights[3 * i + c]!, b));
const plain = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, i) => logits([...batch.subarray(4 * i, 4 * i + 4)]));

/** A GraphModel as tensorflowjs_converter writes it: Placeholder, Reshape, MatMul, BiasAdd; two weight files. */
function writeGraphModel(batch = -1): string {
  const at = folder();
  const shape = (dims: number[]) => ({ dim: dims.map((size) => ({ size: String(size) })) });
  const float = { type: "DT_FLOAT" };
  const constant = (name: string, dtype: string, dims: number[]) => ({
    name,
    op: "Const",
    attr: { dtype: { type: dtype }, value: { tensor: { dtype, tensorShape: shape(dims) } } },
  });
  const node = [
    {
      name: "x",
      op: "Placeholder",
      attr: { dtype: float, shape: { shape: shape([batch, 2, 2, 1]) } },
    },
    constant("flat", "DT_INT32", [2]),
    constant("w", "DT_FLOAT", [4, 3]),
    constant("b", "DT_FLOAT", [3]),
    { name: "rows", op: "Reshape", input: ["x", "flat"], attr: { T: float } },
    { name: "product", op: "MatMul", input: ["rows", "w"], attr: { T: float } },
    { name: "logits", op: "BiasAdd", input: ["product", "b"], attr: { T: float } },
  ];
  const ints = new Int32Array([-1, 4]);
  writeFileSync(join(at, "a.bin"), new Uint8Array(ints.buffer));
  writeFileSync(join(at, "b.bin"), new Uint8Array(Float32Array.from([...weights, ...bias]).buffer));
  const json = {
    format: "graph-model",
    modelTopology: { node, library: {}, versions: { producer: 1 } },
    weightsManifest: [
      {
        paths: ["a.bin", "b.bin"],
        weights: [
          { name: "flat", shape: [2], dtype: "int32" },
          { name: "w", shape: [4, 3], dtype: "float32" },
          { name: "b", shape: [3], dtype: "float32" },
        ],
      },
    ],
  };
  writeFileSync(join(at, "model.json"), JSON.stringify(json));
  return join(at, "model.json");
}

/** The same as a LayersModel, saved by TensorFlow.js itself. */
async function writeLayersModel(batch: number | null = null): Promise<string> {
  const at = folder();
  const model = layers.sequential();
  model.add(layers.layers.flatten({ batchInputShape: [batch, 2, 2, 1] }));
  model.add(layers.layers.dense({ units: 3 }));
  const values = [tf.tensor(weights, [4, 3]), tf.tensor(bias)];
  model.setWeights(values);
  tf.dispose(values);
  await save(model, at);
  model.dispose();
  return join(at, "model.json");
}

async function save(model: layers.LayersModel, at: string): Promise<void> {
  await model.save({
    async save({ modelTopology, weightSpecs, weightData, format }) {
      const manifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      const json = { modelTopology, format, weightsManifest: manifest };
      writeFileSync(join(at, "model.json"), JSON.stringify(json));
      writeFileSync(join(at, "weights.bin"), new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
}

const image = { data: Float32Array.of(0.2, 0.9, 0.4, 0.6), shape: [2, 2, 1] };
const options = { seed: 0, sigma: 0.25, n0: 20, n: 300, batchSize: 32, numClasses: 3 };

describe.each([
  ["a GraphModel", async (batch?: number) => writeGraphModel(batch)],
  ["a LayersModel", writeLayersModel],
])("fromModelJson reads %s", (_, write) => {
  it("with the votes of the same function in plain JavaScript", async () => {
    const path = await write();
    const want = await certify(plain, image, options);
    expect(want.counts.filter((count) => count > 0).length).toBeGreaterThan(1);
    for (const from of [path, pathToFileURL(path)]) {
      const model = await fromModelJson(from);
      expect(await certify(model, image, options)).toEqual(want);
      model.dispose();
    }
  });

  it("and keeps to a fixed batch size", async () => {
    const model = await fromModelJson(await write(8));
    const want = await certify(plain, image, options);
    expect(await certify(model, image, options)).toEqual(want);
    model.dispose();
  });

  it("and frees everything", async () => {
    const path = await write();
    await expectNoLeak(async () => {
      const model = await fromModelJson(path);
      await certify(model, image, options);
      await model.dispose();
      await model.dispose(); // nothing more happens
    });
  });

  it("for the command too", async () => {
    const data = join(folder(), "data.mjs");
    writeFileSync(
      data,
      "export default { name: 'd', length: 2, imageShape: [2, 2, 1], numClasses: 3, get: (i) => ({ image: Float32Array.of(0.2, 0.9, 0.4, i), label: i }) };",
    );
    const printed = { out: "", error: "" };
    const io = {
      out: (text: string) => void (printed.out += text),
      error: (text: string) => void (printed.error += text),
    };
    const argv = ["certify", "--model", await write(), "--data", data, "--sigma", "0.25"].concat(
      "--seed",
      "0",
    );
    expect(await main([...argv, "--n", "100", "--quiet"], io), printed.error).toBe(0);
    const rows = parseLog(printed.out);
    expect(rows.map((row) => row.settings!.model)).toEqual(["model.json", "model.json"]);
    const alone = await certify(
      plain,
      { ...image, data: Float32Array.of(0.2, 0.9, 0.4, 1) },
      {
        ...options,
        n0: 100,
        n: 100,
        index: 1,
      },
    );
    expect(rows[1]!.counts).toEqual(alone.counts);
    expect(await main([...argv, "--layout", "HWC"], io)).toBe(1);
    expect(printed.error).toContain("--layout must be NCHW, NHWC or as-is");
  });
});

describe("fromModelJson prepares its input", () => {
  it("as fromOnnx does: size, scale, mean and std", async () => {
    const wide = { data: Float32Array.from({ length: 12 }, (_, i) => i / 12), shape: [4, 3, 1] };
    const halve = (batch: Float32Array, [n = 0]: number[]) => {
      const small = resizeBatch(batch, [n, 4, 3, 1], [2, 2]).map((v) => (2 * v - 1) / 0.5);
      return plain(small, [n]);
    };
    const want = await certify(halve, wide, options);
    const preprocessing = { size: 2, scale: 2, mean: 1, std: [0.5] };
    for (const file of [writeGraphModel(), await writeLayersModel()]) {
      const model = await fromModelJson(file, preprocessing);
      expect(await certify(model, wide, options)).toEqual(want);
      await model.dispose();
    }
    const model = await fromModelJson(writeGraphModel());
    await expect(certify(model, wide, options)).rejects.toThrow(
      "fromModelJson: the model takes images of 2x2 (NHWC), got 4x3; set size: 2 to resize",
    );
  });

  it("and takes the sigmoid at the end of a model for a probability", async () => {
    const at = folder();
    const model = layers.sequential();
    model.add(layers.layers.flatten({ inputShape: [2, 2, 1] }));
    model.add(layers.layers.dense({ units: 1, activation: "sigmoid" }));
    await save(model, at);
    const [kernel, bias] = model.getWeights().map((tensor) => [...tensor.dataSync()]);
    const score = (batch: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, (_, i) =>
        kernel!.reduce((sum, w, k) => sum + w * batch[4 * i + k]!, bias![0]!),
      ).map((s) => [-s, s]);
    const binary = { ...options, numClasses: 2 };
    const classifier = await fromModelJson(join(at, "model.json"));
    expect(await certify(classifier, image, binary)).toEqual(await certify(score, image, binary));
    await classifier.dispose();
    const several = layers.sequential();
    several.add(layers.layers.flatten({ inputShape: [2, 2, 1] }));
    several.add(layers.layers.dense({ units: 3, activation: "sigmoid" })); // of one class against the rest, each
    const other = folder();
    await save(several, other);
    const three = await fromModelJson(join(other, "model.json"));
    expect((await certify(three, image, { ...options, numClasses: 3 })).counts).toHaveLength(3);
    await three.dispose();
  });
});

it("a LayersModel as it is tells the shape of bare numbers", async () => {
  const model = layers.sequential();
  model.add(layers.layers.flatten({ inputShape: [2, 2, 1] }));
  model.add(layers.layers.dense({ units: 3 }));
  const x = Float32Array.of(0.1, 0.9, 0.4, 0.2);
  const options = { sigma: 0.25, n0: 10, n: 50, seed: 0 };
  const { counts } = await certify(model, x, options);
  expect(counts).toEqual((await certify(model, x, { ...options, shape: [2, 2, 1] })).counts);
  await expect(certify(model, x.slice(1), options)).rejects.toThrow("shape");
});

describe("fromModelJson says what is wrong", () => {
  it("with what is no path", async () => {
    for (const path of [undefined, 5, "", {}])
      await expect(fromModelJson(path as never)).rejects.toThrow(
        "fromModelJson: path must be that of a model.json, or its URL, got",
      );
  });

  it("with files that are none, or lack their weights", async () => {
    await expect(fromModelJson("nowhere/model.json")).rejects.toThrow(
      "fromModelJson: cannot load nowhere/model.json: ENOENT",
    );
    const at = join(folder(), "model.json");
    for (const [text, message] of [
      ["{", "cannot load"],
      ["{}", "it has no modelTopology; a model.json of TensorFlow.js is expected"],
      ["null", "it has no modelTopology"],
      [
        '{"modelTopology": {"model_config": {"config": {"layers": [{"config": {"batch_shape": [null, 4]}}]}}}}',
        "it is a Keras 3 model (its layers have a batch_shape), which TensorFlow.js cannot read",
      ],
      [
        '{"modelTopology": {"node": [{"op": "Foo", "name": "x"}]}, "weightsManifest": [{"paths": ["w.bin"], "weights": []}]}',
        "w.bin",
      ],
    ] as const) {
      writeFileSync(at, text);
      await expect(fromModelJson(at)).rejects.toThrow(message);
      await expect(fromModelJson(at)).rejects.toMatchObject({ code: "file" });
    }
    const whole = writeGraphModel();
    const cut = whole.replace("model.json", "b.bin");
    writeFileSync(cut, readFileSync(cut).subarray(0, 20));
    await expect(fromModelJson(whole)).rejects.toMatchObject({ code: "file" });
  });
});

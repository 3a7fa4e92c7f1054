import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { InferenceSession } from "onnxruntime-node";
import type { Classifier } from "../classifier/classifier.ts";
import type { ClassifierTraits } from "../classifier/classifier-traits.ts";
import { inWorkers } from "../classifier/classifier-workers.ts";
import { denoised, ensemble, fromCompiled } from "../classifier/combine.ts";
import { fromOnnx } from "../classifier/from-onnx.ts";
import { fromModelJson } from "../classifier/model-json.ts";

/** A classifier of [4, 4, 3] images with three classes. */
export interface Wrapper {
  readonly name: string;
  readonly classifier: Classifier & ClassifierTraits;
  dispose(): unknown;
}

const module = new URL("./linear.mjs", import.meta.url);
const { default: late, linear } = await import(module.href);
const model = new URL("./small.onnx", import.meta.url);
const normalize = { mean: [0.1, 0.2, 0.3], std: [0.5, 2, 4] };
const pause = (batch: Float32Array) =>
  new Promise((resolve) => setTimeout(resolve, Math.abs(Math.round(1e4 * batch[0]!)) % 3));

/** Adds to the pixels, after a pause, in memory that it uses again. */
function denoiser(): (batch: Float32Array) => Promise<Float32Array> {
  const memory = new Float32Array(48 * 1024);
  return async (batch) => {
    await pause(batch);
    const clean = memory.subarray(0, batch.length);
    batch.forEach((value, i) => {
      clean[i] = 0.9 * value + 0.05;
    });
    return clean;
  };
}

/** Copies its input, as `compile` of `@dmae/compile` does, and computes later. */
const compiled = async ({ x }: { x: { data: Float32Array; shape: number[] } }) => {
    const copy = x.data.slice();
    await pause(copy);
    return { logits: { data: linear(copy, x.shape), shape: [x.shape[0]!, 3] } };
};

const tensorWeights = () => Float32Array.from({ length: 144 }, (_, i) => Math.sin(3 * i + 1));

async function onTensors(batch: tf.Tensor) {
  const logits = tf.matMul(tf.reshape(batch, [-1, 48]), tf.tensor2d(tensorWeights(), [48, 3]));
  await pause(Float32Array.of(batch.shape[0]!));
  return logits;
}

/** A LayersModel in files, read back. */
async function readLayers(folder: string) {
  const dense = layers.layers.dense({
    units: 3,
    weights: [tf.tensor2d(tensorWeights(), [48, 3]), tf.zeros([3])],
  });
  const whole = layers.sequential({
    layers: [layers.layers.flatten({ inputShape: [4, 4, 3] }), dense],
  });
  const file = join(folder, "model.json");
  await whole.save({
    async save({ weightData, weightSpecs, ...artifacts }) {
      writeFileSync(file.replace("model.json", "weights.bin"), Buffer.from(weightData as ArrayBuffer));
      const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      writeFileSync(file, JSON.stringify({ ...artifacts, weightsManifest }));
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    },
  });
  return fromModelJson(file);
}

/** One classifier of each kind; some answer in the same memory each time. Files go to `folder`. */
export async function openWrappers(folder: string): Promise<Wrapper[]> {
  await tf.setBackend("cpu");
  const onnx = await fromOnnx(model);
  const normalized = await fromOnnx(new Uint8Array(readFileSync(model)), normalize);
  const fixed = await fromOnnx(new URL("./small-batch-8.onnx", import.meta.url), normalize);
  const session = await InferenceSession.create(readFileSync(model));
  const workers = await inWorkers(module, { workers: 2 });
  const json = await readLayers(folder);
  const keep = () => {};
  const ids = (batch: Float32Array, shape: number[]) =>
    Array.from({ length: shape[0]! }, (_, row) => {
      const logits = linear(batch.subarray(48 * row, 48 * (row + 1)), [1]);
      return logits.indexOf(Math.max(...logits));
    });
  const both = ensemble([onnx, late as Classifier, normalized]);
  return [
    { name: "fromOnnx", classifier: onnx, dispose: () => onnx.dispose() },
    { name: "fromOnnx, normalize", classifier: normalized, dispose: () => normalized.dispose() },
    { name: "fromOnnx, batches of 8", classifier: fixed, dispose: () => fixed.dispose() },
    { name: "a session", classifier: session as never, dispose: () => session.release() },
    { name: "fromModelJson", classifier: json, dispose: () => json.dispose() },
    { name: "inWorkers", classifier: workers, dispose: () => workers.dispose() },
    { name: "fromCompiled", classifier: fromCompiled(compiled, 5, { output: "logits" }), dispose: keep },
    { name: "ensemble", classifier: both, dispose: keep },
    { name: "ensemble, votes", classifier: ensemble([both, ids], "vote", { numClasses: 3 }), dispose: keep },
    { name: "denoised", classifier: denoised(denoiser(), both), dispose: keep },
    { name: "a function, late", classifier: late as Classifier, dispose: keep },
    { name: "class ids", classifier: ids, dispose: keep },
    { name: "tensors", classifier: { predict: onTensors, input: "tensor" }, dispose: keep },
  ];
}

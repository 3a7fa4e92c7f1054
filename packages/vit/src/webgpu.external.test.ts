import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import "@tensorflow/tfjs-backend-cpu";
import { type HostTensors, key } from "@dmae/core";
import {
  disposeTensors,
  selectBackend,
  softmaxCrossEntropy,
  toHost,
  toTensors,
  valueAndGradients,
} from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { createViT } from "./index.ts";

/*
 * Gradients on WebGPU in Node (Dawn), against the cpu backend. A software Vulkan driver is enough:
 *
 *   mkdir /tmp/webgpu && cd /tmp/webgpu && npm init -y
 *   npm install webgpu@0.6.2 @tensorflow/tfjs-backend-webgpu@4.22.0 @tensorflow/tfjs-core@4.22.0
 *   apt-get install libvulkan1 chromium      # chromium brings SwiftShader; a GPU's own driver does as well
 *   cd - && DMAE_WEBGPU_PROJECT=/tmp/webgpu VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json \
 *     npx vitest run --config vitest.external.config.ts packages/vit
 */
const project = process.env.DMAE_WEBGPU_PROJECT;
const errors: string[] = [];
const alive: unknown[] = []; // Dawn crashes once its objects are collected

async function importFrom(folder: string, name: string) {
  const path = createRequire(join(folder, "package.json")).resolve(name);
  return import(pathToFileURL(path).href);
}

beforeAll(async () => {
  if (!project) return;
  const { create, globals } = await importFrom(project, "webgpu");
  const gpu = create([]);
  Object.assign(globalThis, globals, { self: globalThis });
  Object.defineProperty(globalThis, "navigator", {
    value: { gpu, userAgent: "node" },
    configurable: true,
  });
  await importFrom(project, "@tensorflow/tfjs-backend-webgpu");
  await selectBackend("webgpu");
  tf.env().set("WEBGPU_CPU_FORWARD", false); // else small tensors are computed on the cpu
  const { device } = tf.backend() as unknown as { device: EventTarget };
  alive.push(gpu, device);
  // WebGPU reports invalid programs here and goes on with wrong numbers.
  device.addEventListener("uncapturederror", (event) =>
    errors.push((event as unknown as { error: Error }).error.message),
  );
});

afterAll(async () => {
  await tf.setBackend("cpu");
  tf.removeBackend("webgpu"); // Dawn keeps the process alive otherwise
});

/** Loss and every gradient of a fine-tuning step on `backend`. */
async function differentiate(backend: string, globalPool: boolean) {
  await selectBackend(backend);
  const shape = { width: 48, depth: 2, heads: 3, imageSize: 24, inputSize: 16, patchSize: 4 };
  const vit = createViT({ ...shape, numClasses: 10, globalPool });
  const host: HostTensors = vit.initHost(key(1));
  host["head.weight"]!.data.forEach((value, i, data) => {
    data[i] = value * 1e4; // fresh heads are nearly zero
  });
  const params = toTensors(host);
  const before = tf.memory().numTensors;
  const { loss, gradients } = tf.tidy(() => {
    const pixels = Float32Array.from({ length: 4 * 768 }, (_, i) => Math.abs(Math.sin(i * i)));
    const x = tf.tensor4d(pixels, [4, 16, 16, 3]);
    const scales = Float32Array.from({ length: 16 }, (_, i) => (i % 5 ? 1.25 : 0));
    const dropPath = tf.tensor3d(scales, [2, 2, 4]);
    const targets = tf.cast(tf.oneHot(tf.tensor1d([0, 1, 2, 3], "int32"), 10), "float32");
    return valueAndGradients((p) => {
      const logits = vit.logits(p, x, { dropPath });
      return { loss: tf.mean(softmaxCrossEntropy(logits, targets)) };
    }, params);
  });
  const result = await toHost({ ...gradients, loss });
  disposeTensors({ ...gradients, loss });
  expect(tf.memory().numTensors).toBe(before);
  disposeTensors(params);
  return result;
}

test.skipIf(!project).each([true, false])("global pool %s: as on the cpu", async (globalPool) => {
  const expected = await differentiate("cpu", globalPool);
  const actual = await differentiate("webgpu", globalPool);
  expect(errors).toEqual([]);
  for (const [name, { data }] of Object.entries(expected)) {
    if (name.endsWith("attn.qkv.bias")) continue; // the key third is zero in theory
    const largest = Math.max(...Array.from(data, Math.abs));
    expect(largest).toBeGreaterThan(0);
    expectClose(actual[name]!.data, data, { absolute: 1e-5 * largest });
  }
});

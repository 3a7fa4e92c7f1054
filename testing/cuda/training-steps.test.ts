import "@tensorflow/tfjs-backend-cpu";
import { eagerExecutor } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { findCCompiler } from "../../packages/compile/src/kernels/c-compiler.ts";
import {
  expectEagerOnShim,
  fusedForCard,
  runOnShim,
} from "../../packages/compile/src/testing/on-shim.ts";
import { temporaryFolders } from "../temporary-folder.ts";
import { trainingSteps } from "./training-steps.ts";

const compiler = await findCCompiler();
const folder = temporaryFolders("cuda-steps")();

beforeAll(() => tf.setBackend("cpu"));

it.skipIf(!compiler).each(Object.entries(trainingSteps))(
  "CUDA kernels of %s, run by the shim, give the eager backend's step",
  async (_, make) => {
    const { fn, inputs } = make();
    const count = await expectEagerOnShim(fn, inputs, { folder, tolerance: 1e-4 });
    expect(count).toBeGreaterThan(5);
  },
);

it.skipIf(!compiler)("a step whose products have float16 stays near the eager step", async () => {
  const { fn, inputs } = trainingSteps["a ViT with SGD"]();
  const fused = fusedForCard(fn, inputs, "float16");
  const found = await runOnShim(fused, fused.outputNames, inputs, folder);
  const eager = await eagerExecutor().prepareFunction({ fn, specs: inputs });
  const wanted = await eager(inputs);
  const [error, change] = [[] as number[], [] as number[]];
  for (const [name, { data }] of Object.entries(wanted))
    data.forEach((value, i) => {
      if (!inputs[name]) return;
      error.push(found[name]![i]! - value);
      change.push(value - inputs[name].data[i]!);
    });
  expect(Math.hypot(...error) / Math.hypot(...change)).toBeLessThan(0.01);
  expect(Math.abs(found.loss![0]! / wanted.loss!.data[0]! - 1)).toBeLessThan(1e-3);
});

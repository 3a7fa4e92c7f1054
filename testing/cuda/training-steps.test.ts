import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { findCCompiler } from "../../packages/compile/src/kernels/c-compiler.ts";
import { expectEagerOnShim } from "../../packages/compile/src/testing/on-shim.ts";
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

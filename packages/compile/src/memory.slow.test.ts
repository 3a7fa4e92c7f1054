import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import type { HostTensor } from "@dmae/core";
import { valueAndGradients } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { compile, compileStep } from "./index.ts";
import { findCCompiler } from "./kernels/c-compiler.ts";

const tensor = (shape: number[], fill: number): HostTensor => ({
  dtype: "float32",
  shape,
  data: new Float32Array(shape.reduce((n, d) => n * d, 1)).fill(fill),
});

const kinds = (await findCCompiler())
  ? (["standard", "generated"] as const)
  : (["standard"] as const);

it.each(kinds)(
  "memory stays flat over 1,000 steps and 1,000 calls, kernels %s",
  async (kernels) => {
    const step = await compileStep(
      ({ w }, { x }) => {
        const { loss, gradients } = valueAndGradients(
          (p) => ({ loss: tf.mean(tf.square(linear(x!, p.w!))) }),
          { w: w! },
        );
        return { state: { w: tf.sub(w!, tf.mul(gradients.w!, 0.01)) }, metrics: { loss } };
      },
      { state: { w: tensor([256, 256], 0.01) }, batch: { x: { shape: [256, 256] } } },
      { kernels },
    );
    const program = await compile(({ x }) => tf.exp(x), { x: { shape: [256, 256] } }, { kernels });
    const x = tensor([256, 256], 0.5); // 256 kB: a leak of one a step would be 250 MB
    const rounds = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await step({ x });
        await program({ x });
      }
    };
    await rounds(300);
    const before = process.memoryUsage().rss;
    const tensors = tf.memory().numTensors;
    await rounds(1000);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    expect(tf.memory().numTensors).toBe(tensors);
    step.dispose();
    program.dispose();
  },
);

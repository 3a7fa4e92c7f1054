import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { compile, compileStep } from "../index.ts";
import { findCCompiler } from "../kernels/c-compiler.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const [ROWS, COLUMNS] = [40, 60];
const ones = (): HostTensor => ({
  dtype: "float32",
  shape: [ROWS, COLUMNS],
  data: new Float32Array(ROWS * COLUMNS).fill(1),
});
const spec = { shape: [ROWS, COLUMNS] };
const forms = (await findCCompiler())
  ? (["standard", "generated"] as const)
  : ["standard" as const];

/** What a caller may do with its array as soon as a run has begun. */
const misuses: [string, (x: HostTensor) => void][] = [
  ["filled anew", ({ data }) => data.fill(Number.NaN)],
  ["given to a worker", ({ data }) => void structuredClone(data, { transfer: [data.buffer] })],
];

describe.each(forms)("%s operators", (kernels) => {
  it.each(misuses)("compute with what was lent when it is %s meanwhile", async (_, misuse) => {
    const program = await compile(
      ({ x }) => ({ y: tf.sum(tf.exp(tf.mul(x, 2)), 0) }),
      { x: spec },
      { kernels },
    );
    const step = await compileStep(
      ({ s }, { x }) => {
        const sum = tf.sum(tf.mul(tf.add(x!, 1), 0.5));
        return { state: { s: tf.add(s!, sum) }, metrics: { sum } };
      },
      {
        state: { s: { dtype: "float32", shape: [], data: Float32Array.of(0) } },
        batch: { x: spec },
      },
      { kernels },
    );
    const inputs = [ones(), ones(), ones()] as const;
    const results = [
      program({ x: inputs[0] }),
      step({ x: inputs[1] }),
      step({ x: inputs[2] }),
    ] as const;
    for (const x of inputs) misuse(x);
    expect((await results[0]).y.data[COLUMNS - 1]).toBeCloseTo(ROWS * Math.exp(2), 3);
    expect(await results[1]).toEqual({ sum: ROWS * COLUMNS });
    expect(await results[2]).toEqual({ sum: ROWS * COLUMNS });
    program.dispose();
    step.dispose();
  });
});

import "@tensorflow/tfjs-backend-cpu";
import { type HostTensor, type HostTensors, key, normal } from "@dmae/core";
import {
  eagerExecutor,
  type StepFunction,
  softmaxCrossEntropy,
  type Tensors,
  valueAndGradients,
} from "@dmae/nn";
import { attention, gelu, layerNorm, linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { finiteDifferences } from "../../../../testing/tensors.ts";
import { compile, compiledExecutor } from "../index.ts";
import { draws, expectSame } from "../testing/sweep.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const gaussian = (seed: number, shape: number[], scale = 1): HostTensor => ({
  dtype: "float32",
  shape,
  data: normal(
    key(seed),
    shape.reduce((n, d) => n * d, 1),
    { standardDeviation: scale },
  ) as Float32Array,
});

const zeros = (shape: number[]): HostTensor => ({
  dtype: "float32",
  shape,
  data: new Float32Array(shape.reduce((n, d) => n * d, 1)),
});

const [WIDTH, HEADS, TOKENS, CLASSES] = [12, 3, 5, 4];

const blockParams = (): HostTensors => ({
  "norm1.weight": gaussian(1, [WIDTH]),
  "norm1.bias": gaussian(2, [WIDTH]),
  "qkv.weight": gaussian(3, [3 * WIDTH, WIDTH], 0.3),
  "qkv.bias": gaussian(4, [3 * WIDTH], 0.3),
  "proj.weight": gaussian(5, [WIDTH, WIDTH], 0.3),
  "proj.bias": gaussian(6, [WIDTH], 0.3),
  "norm2.weight": gaussian(7, [WIDTH]),
  "norm2.bias": gaussian(8, [WIDTH]),
  "fc1.weight": gaussian(9, [4 * WIDTH, WIDTH], 0.3),
  "fc1.bias": gaussian(10, [4 * WIDTH], 0.3),
  "fc2.weight": gaussian(11, [WIDTH, 4 * WIDTH], 0.3),
  "fc2.bias": gaussian(12, [WIDTH], 0.3),
  "head.weight": gaussian(13, [CLASSES, WIDTH], 0.3),
  "head.bias": gaussian(14, [CLASSES], 0.3),
});

/** A transformer block and a head: every composite kernel of nn. */
function classify(p: Tensors, x: tf.Tensor): tf.Tensor {
  const dense = (v: tf.Tensor, name: string) => linear(v, p[`${name}.weight`]!, p[`${name}.bias`]!);
  const norm = (v: tf.Tensor, name: string) =>
    layerNorm(v, p[`${name}.weight`]!, p[`${name}.bias`]!);
  const middle = tf.add(x, dense(attention(dense(norm(x, "norm1"), "qkv"), HEADS), "proj"));
  const out = tf.add(middle, dense(gelu(dense(norm(middle, "norm2"), "fc1")), "fc2"));
  return dense(tf.mean(out, 1), "head");
}

describe("composite kernels", () => {
  for (const seed of [1, 2, 3]) {
    const d = draws(seed, "composite");
    const [batch, tokens] = [d.integer(1, 4), d.integer(1, 6)];
    it(`forward, seed ${seed}`, async () => {
      await expectSame({
        inputs: {
          x: d.floats([batch, tokens, 12]),
          g: d.floats([12]),
          b: d.floats([12]),
          qkv: d.floats([batch, tokens, 36]),
        },
        fn: ({ x, g, b, qkv }) => [layerNorm(x!, g!, b!, 1e-5), gelu(x!), attention(qkv!, 3)],
      });
    });
    it(`gradients, seed ${seed}`, async () => {
      await expectSame(
        {
          inputs: {
            x: d.floats([batch, tokens, 12]),
            g: d.floats([12]),
            b: d.floats([12]),
            qkv: d.floats([batch, tokens, 36]),
            w: d.floats([batch, tokens, 12]),
          },
          fn: ({ x, g, b, qkv, w }) => {
            const loss = (x: tf.Tensor, g: tf.Tensor, b: tf.Tensor, qkv: tf.Tensor) => {
              const y = tf.add(gelu(layerNorm(x, g, b, 1e-5)), attention(qkv, 3));
              return tf.sum(tf.mul(y, w!)) as tf.Scalar;
            };
            return tf.grads(loss)([x!, g!, b!, qkv!]);
          },
        },
        2e-5,
      );
    });
  }

  it("gelu and its gradient are right where exp(x^2) overflows and at 0", async () => {
    const x: HostTensor = {
      dtype: "float32",
      shape: [6],
      data: Float32Array.of(-30, -8, 0, 1e-20, 8, 30),
    };
    await expectSame({
      inputs: { x },
      fn: ({ x }) => [gelu(x!), tf.grad((v) => tf.sum(gelu(v)))(x!)],
    });
  });
});

describe("a transformer block", () => {
  const x = gaussian(20, [3, TOKENS, WIDTH]);
  const y: HostTensor = {
    dtype: "float32",
    shape: [3, CLASSES],
    data: Float32Array.of(1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1),
  };
  const loss = (p: Tensors, x: tf.Tensor, y: tf.Tensor) =>
    tf.mean(softmaxCrossEntropy(classify(p, x), y));

  it("classifies as eager, with weights as inputs and as constants", async () => {
    const params = blockParams();
    const inputs = { x: { shape: x.shape } };
    const results: Float32Array[] = [];
    for (const executor of [eagerExecutor(), compiledExecutor()]) {
      const fn = await executor.prepareFunction({
        fn: (t) => ({ y: classify(t, t.x!) }),
        specs: inputs,
        constants: params,
      });
      results.push((await fn({ x })).y!.data as Float32Array);
      fn.dispose();
    }
    const program = await compile((t) => ({ y: classify(t as Tensors, t.x) }), {
      ...inputs,
      ...params,
    });
    results.push((await program({ x, ...params })).y.data as Float32Array);
    program.dispose();
    expectClose(results[1]!, results[0]!, { absolute: 1e-5, relative: 1e-5 });
    expectClose(results[2]!, results[0]!, { absolute: 1e-5, relative: 1e-5 });
  });

  it("has the gradients of finite differences", async () => {
    const params = blockParams();
    const program = await compile(
      ({ x, y, ...p }) => {
        const result = valueAndGradients((q) => ({ loss: loss(q, x, y) }), p);
        return { loss: result.loss, ...result.gradients };
      },
      { x: { shape: x.shape }, y: { shape: y.shape }, ...params },
    );
    const value = await compile(({ x, y, ...p }) => ({ loss: loss(p, x, y) }), {
      x: { shape: x.shape },
      y: { shape: y.shape },
      ...params,
    });
    const gradients = (await program({ x, y, ...params })) as Record<string, HostTensor>;
    for (const name of ["qkv.weight", "fc1.bias", "norm2.weight", "proj.weight", "fc2.weight"]) {
      const at = params[name]!;
      const indices = [0, 3, 7];
      const values: number[] = [];
      const steps: Promise<number>[] = [];
      // finiteDifferences is synchronous: collect the points first, then look the values up.
      const points: Float32Array[] = [];
      finiteDifferences((p) => points.push(p.slice()), at.data as Float32Array, 1e-2, indices);
      for (const data of points)
        steps.push(
          value({ x, y, ...params, [name]: { ...at, data } }).then((r) => r.loss.data[0]!),
        );
      values.push(...(await Promise.all(steps)));
      let next = 0;
      const expected = finiteDifferences(
        () => values[next++]!,
        at.data as Float32Array,
        1e-2,
        indices,
      );
      const actual = indices.map((i) => gradients[name]!.data[i]!);
      expectClose(actual, expected, { absolute: 2e-4, relative: 1e-2 });
    }
    program.dispose();
    value.dispose();
  });

  const momentum: StepFunction = (state, { x, y, rate }) => {
    const names = Object.keys(state).filter((name) => !name.startsWith("m."));
    const params = Object.fromEntries(names.map((name) => [name, state[name]!]));
    const result = valueAndGradients((p) => ({ loss: loss(p, x!, y!) }), params);
    const next: Tensors = {};
    for (const name of names) {
      const m = tf.add(tf.mul(state[`m.${name}`]!, 0.9), result.gradients[name]!);
      next[`m.${name}`] = m;
      next[name] = tf.sub(state[name]!, tf.mul(m, rate!));
    }
    return { state: next, metrics: { loss: result.loss } };
  };
  const initialState = (): Record<string, HostTensor> => {
    const params = blockParams();
    const moments = Object.entries(params).map(([name, { shape }]) => [
      `m.${name}`,
      zeros([...shape]),
    ]);
    return { ...params, ...Object.fromEntries(moments) };
  };
  const rate: HostTensor = { dtype: "float32", shape: [], data: Float32Array.of(0.01) };
  const batch = (i: number) => ({ x: gaussian(100 + i, [3, TOKENS, WIDTH]), y, rate });
  const specs = { x: { shape: [3, TOKENS, WIDTH] }, y: { shape: y.shape }, rate: { shape: [] } };

  it("trains 200 steps as eager does, and a run crosses from one to the other", async () => {
    const losses: number[][] = [];
    const states: Record<string, HostTensor>[] = [];
    for (const order of [
      ["eager", "eager"],
      ["compiled", "compiled"],
      ["eager", "compiled"],
    ]) {
      let state = initialState();
      const curve: number[] = [];
      for (const [half, name] of order.entries()) {
        const executor = name === "eager" ? eagerExecutor() : compiledExecutor({ threads: 1 });
        const prepared = await executor.prepareStep(momentum, { state, batch: specs });
        for (let i = 0; i < 100; i++) curve.push((await prepared(batch(100 * half + i))).loss!);
        state = await prepared.state();
        prepared.dispose();
      }
      losses.push(curve);
      states.push(state);
    }
    expect(losses[0]![199]!).toBeLessThan(losses[0]![0]!);
    for (const k of [1, 2]) {
      expectClose(losses[k]!, losses[0]!, { absolute: 1e-4, relative: 1e-4 });
      for (const [name, value] of Object.entries(states[0]!))
        expectClose(states[k]![name]!.data, value.data, { absolute: 1e-3 });
    }
  });
});

import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { expectNoLeak } from "../../../../testing/tensors.ts";
import { compile, compiledExecutor, compileStep } from "../index.ts";
import { trace } from "./trace.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const inputs = { x: { shape: [2] } };
type Fn = Parameters<typeof trace>[1];

describe("trace", () => {
  it("keeps the values of variables that a function would change", async () => {
    const v = tf.variable(tf.tensor1d([1, 2]));
    const optimizer = tf.train.sgd(0.1);
    const changes: Fn[] = [
      ({ x }) => {
        v.assign(tf.mul(v, x!) as tf.Tensor1D);
        return { v: tf.clone(v) };
      },
      ({ x }) => ({ l: optimizer.minimize(() => tf.dot(x!, v) as tf.Scalar, true, [v])! }),
    ];
    await expectNoLeak(async () => {
      for (const change of changes) {
        const error = await failure(() => trace("test", change, inputs), "unsupported");
        expect(error.message).toMatch(/assign changes a variable .*called at .*trace\.test\.ts/);
        expect(Array.from(v.dataSync())).toEqual([1, 2]);
      }
    });
    v.assign(tf.tensor1d([3, 4]));
    expect(Array.from(v.dataSync())).toEqual([3, 4]);
    v.dispose();
    optimizer.dispose();
  });

  it("refuses to wait for values, and leaves no promise that fails unheard", async () => {
    const unheard: unknown[] = [];
    const listen = (reason: unknown) => unheard.push(reason);
    process.on("unhandledRejection", listen);
    const asks: Fn[] = [
      (async ({ x }: tf.NamedTensorMap) => {
        const values = await x!.data();
        return { y: tf.mul(x!, values[0]!) };
      }) as unknown as Fn,
      ({ x }) => {
        void x!.data();
        return { y: tf.square(x!) };
      },
    ];
    for (const ask of asks) {
      const error = await failure(() => trace("test", ask, inputs), "unsupported");
      expect(error.message).toMatch(/reads a value on the host .*called at .*trace\.test\.ts/);
    }
    const fails = (async () => {
      throw new Error("late");
    }) as never;
    const start = { state: {}, batch: inputs };
    for (const attempt of [
      () => trace("test", fails, inputs),
      () => compile(fails, inputs),
      () => compileStep(fails, start),
      () => compiledExecutor().prepareFunction({ fn: fails, specs: inputs }),
    ])
      expect((await failure(attempt)).message).toMatch(/synchronous/);
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", listen);
    expect(unheard).toEqual([]);
  });

  it("names the operation and the line where TensorFlow.js itself refuses arguments", async () => {
    const wrong: [string, Fn][] = [
      ["squeeze", ({ x }) => ({ y: tf.squeeze(x!, [0]) })],
      ["topk", ({ x }) => ({ y: tf.topk(x!, 5).values })],
      ["reshape", ({ x }) => ({ y: tf.reshape(x!, [3, 7]) })],
      [
        "conv2d",
        ({ x }) => ({
          y: tf.conv2d(
            tf.reshape(x!, [1, 1, 2, 1]) as tf.Tensor4D,
            tf.ones([1, 1, 3, 1]),
            1,
            "same",
          ),
        }),
      ],
    ];
    for (const [operation, fn] of wrong) {
      const error = await failure(() => trace("test", fn, inputs));
      expect(error.message).toMatch(
        new RegExp(`^test: ${operation}: .*called at .*trace\\.test\\.ts`),
      );
    }
  });

  it("reads constants, now or later", async () => {
    const c = tf.tensor1d([5, 6]);
    let read: number[] = [];
    let later: Promise<Float32Array | Int32Array | Uint8Array> | undefined;
    trace(
      "test",
      ({ x }) => {
        const own = tf.add(c, 1);
        read = Array.from(own.dataSync());
        later = own.data();
        return { y: tf.mul(x!, own) };
      },
      inputs,
    );
    expect(read).toEqual([6, 7]);
    expect(Array.from((await later)!)).toEqual([6, 7]);
    c.dispose();
  });
});

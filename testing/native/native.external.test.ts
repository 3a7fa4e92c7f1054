import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { key, normal } from "@dmae/core";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { adamw, createTrainStep } from "@dmae/train";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../expect-close.ts";

interface Binding {
  readonly TF_Version: string;
  getNumOfTensors(): number;
}

const binding = () => (tf.backend() as unknown as { binding: Binding }).binding;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

beforeAll(() => selectBackend("tensorflow"));

test("TensorFlow computes, of the release that was linked", () => {
  expect(tf.getBackend()).toBe("tensorflow");
  expect(binding().TF_Version).toMatch(new RegExp(`^${process.env.DMAE_NATIVE_TENSORFLOW ?? "2"}`));
});

test("the operations that call Node's old util functions work on this Node", () => {
  tf.tidy(() => {
    const { values, indices } = tf.topk(tf.tensor1d([0.5, 3, 1]), 2);
    expectClose(values.dataSync(), [3, 1]);
    expectClose(indices.dataSync(), [1, 2]);
  });
});

test("known results: convolution and its gradient, moments, the error function", () => {
  tf.tidy(() => {
    const image = tf.reshape(tf.range(0, 16), [1, 4, 4, 1]) as tf.Tensor4D;
    const filter = tf.ones([2, 2, 1, 1]) as tf.Tensor4D;
    // Sums of 2 x 2 windows of 0 … 15: top left 0 + 1 + 4 + 5.
    expectClose(
      tf.conv2d(image, filter, 1, "valid").dataSync(),
      [10, 14, 18, 26, 30, 34, 42, 46, 50],
    );
    // d/dfilter of the sum of all outputs: sums of the 3 x 3 windows that each tap sees.
    const gradient = tf.grad((f) => tf.sum(tf.conv2d(image, f as tf.Tensor4D, 1, "valid")))(filter);
    expectClose(gradient.dataSync(), [45, 54, 81, 90]);
    const { mean, variance } = tf.moments(tf.tensor1d([1, 2, 3, 6]));
    expectClose([...mean.dataSync(), ...variance.dataSync()], [3, 3.5]);
    expectClose(tf.erf(tf.tensor1d([0, 1])).dataSync(), [0, 0.8427007929497149], {
      absolute: 1e-6,
    });
  });
});

test("1,000 training steps leave memory where it was: TensorFlow's handles counted, and the process", async () => {
  const vit = createViT({
    width: 32,
    depth: 2,
    heads: 2,
    patchSize: 4,
    imageSize: 16,
    channels: 1,
    mean: [0.5],
    std: [0.5],
    numClasses: 4,
  });
  const { step, initState, inputs } = createTrainStep({
    loss: (params, { x, y }) => ({
      loss: tf.losses.softmaxCrossEntropy(
        tf.oneHot(tf.cast(y!, "int32"), 4),
        vit.logits(params, x!),
      ),
    }),
    optimizer: adamw(),
    schedule: () => 1e-3,
    stepsPerEpoch: 1000,
  });
  const batch = {
    x: { shape: [8, 16, 16, 1], dtype: "float32", data: normal(key(1), 8 * 256) },
    y: { shape: [8], dtype: "float32", data: Float32Array.from({ length: 8 }, (_, i) => i % 4) },
  } as const;
  const specs = Object.fromEntries(
    Object.entries({ ...batch, ...inputs(0) }).map(([name, { shape }]) => [name, { shape }]),
  );
  const prepared = await eagerExecutor().prepareStep(step, {
    state: initState(vit.initHost(key(0))),
    batch: specs,
  });
  const counts: number[] = [];
  const resident: number[] = [];
  let loss = Number.NaN;
  for (let i = 0; i < 1000; i++) {
    loss = (await prepared({ ...batch, ...inputs(i) })).loss!;
    if ((i + 1) % 100 === 0) {
      counts.push(binding().getNumOfTensors());
      collectGarbage();
      resident.push(process.memoryUsage.rss());
    }
  }
  prepared.dispose();
  console.log(
    `TensorFlow handles ${counts.join(" ")}; resident MB ${resident.map((b) => Math.round(b / 1e6)).join(" ")}`,
  );
  expect(loss).toBeLessThan(0.1); // eight pictures, learnt by heart
  expect(new Set(counts).size).toBe(1);
  expect(resident.at(-1)! - resident[1]!).toBeLessThan(8e6); // from step 200 to step 1,000
});

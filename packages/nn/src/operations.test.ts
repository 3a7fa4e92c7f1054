import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import {
  disposeTensors,
  selectBackend,
  softmaxCrossEntropy,
  type Tensors,
  valueAndGradients,
} from "./index.ts";
import {
  attention,
  batchNorm,
  conv2d,
  dropPath,
  gelu,
  layerNorm,
  linear,
  normalize,
} from "./layers.ts";

// Recorded by testing/reference/nn_operations.py: PyTorch autograd in float64.
const fixture = readFixture(new URL("./__fixtures__/operations.safetensors", import.meta.url));

const operations: Record<string, (t: Tensors) => tf.Tensor> = {
  linear: ({ x, weight, bias }) => linear(x!, weight!, bias!),
  layerNorm: ({ x, gain, bias }) => layerNorm(x!, gain!, bias!, 1e-6),
  gelu: ({ x }) => gelu(x!),
  attention: ({ qkv }) => attention(qkv!, 2),
  dropPath: ({ x, scale }) => dropPath(x!, scale!),
  softmaxCrossEntropy: ({ logits, targets }) => softmaxCrossEntropy(logits!, targets!),
  batchNorm: ({ x, gain, bias }) => tf.tidy(() => batchNorm(x!, gain!, bias!, 1e-5).y),
  conv2d: ({ x, weight, bias }) => conv2d(x!, weight!, { bias }),
  conv2dPadded: ({ x, weight }) => conv2d(x!, weight!, { padding: 1 }),
  conv2dStrided: ({ x, weight }) => conv2d(x!, weight!, { stride: 2, padding: 1 }),
  conv2dLeftOver: ({ x, weight }) => conv2d(x!, weight!, { stride: 3 }),
  conv2dSkipping: ({ x, weight }) => conv2d(x!, weight!, { stride: 2 }),
  conv2dWide: ({ x, weight }) => conv2d(x!, weight!, { stride: 2, padding: 3 }),
};

const tensorOf = (name: string) => {
  const { shape, data } = fixture.get(name);
  return tf.tensor(data as Float32Array, shape);
};

function inputsOf(name: string): Tensors {
  const own = new RegExp(`^${name}\\.(?!grad\\.|y$|dy$)(\\w+)$`);
  const names = fixture.names.flatMap((entry) => own.exec(entry)?.[1] ?? []);
  return Object.fromEntries(names.map((input) => [input, tensorOf(`${name}.${input}`)]));
}

describe.each(["cpu", "wasm"])("operations on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test.each(Object.keys(operations))(
    "%s: value and every gradient, as PyTorch in float64",
    (name) => {
      tf.tidy(() => {
        const inputs = inputsOf(name);
        const { aux, gradients } = valueAndGradients((t) => {
          const y = operations[name]!(t);
          return { loss: tf.sum(tf.mul(y, tensorOf(`${name}.dy`))), aux: { y } };
        }, inputs);
        const tolerance = { absolute: 2e-6, relative: 2e-6 };
        expect(aux.y!.shape).toEqual(fixture.get(`${name}.y`).shape);
        expectClose(aux.y!.dataSync(), fixture.get(`${name}.y`).data, tolerance);
        expect(Object.keys(gradients).length).toBeGreaterThan(0);
        for (const [input, gradient] of Object.entries(gradients)) {
          const expected = fixture.get(`${name}.grad.${input}`);
          expect(gradient.shape).toEqual(expected.shape);
          expectClose(gradient.dataSync(), expected.data, { absolute: 5e-6, relative: 5e-6 });
        }
      });
    },
  );

  test.each(Object.keys(operations))(
    "%s keeps nothing, with and without gradients",
    async (name) => {
      const inputs = inputsOf(name);
      const before = tf.memory().numBytes;
      await expectNoLeak(() => operations[name]!(inputs).dispose());
      await expectNoLeak(() => {
        const { loss, gradients } = valueAndGradients(
          (t) => ({ loss: tf.sum(operations[name]!(t)) }),
          inputs,
        );
        loss.dispose();
        disposeTensors(gradients);
      });
      expect(tf.memory().numBytes).toBe(before);
      expect(Object.values(inputs).some((tensor) => tensor.isDisposed)).toBe(false);
      disposeTensors(inputs);
    },
  );

  test("linear without a bias, on a vector", () => {
    tf.tidy(() => {
      const y = linear(
        tf.tensor1d([1, 2]),
        tf.tensor2d([
          [3, 4],
          [5, 6],
        ]),
      );
      expect(y.shape).toEqual([2]);
      expectClose(y.dataSync(), [11, 17]);
    });
  });

  test("layerNorm of a constant row is the bias, with a finite gradient", () => {
    tf.tidy(() => {
      const { aux, gradients } = valueAndGradients(
        ({ x }) => {
          const y = layerNorm(x!, tf.ones([3]), tf.tensor1d([1, 2, 3]), 1e-6);
          return { loss: tf.sum(y), aux: { y } };
        },
        { x: tf.fill([1, 3], 7) },
      );
      expectClose(aux.y!.dataSync(), [1, 2, 3]);
      expectClose(gradients.x!.dataSync(), [0, 0, 0]);
    });
  });

  test("gelu far out: the identity above, zero below, exactly", () => {
    tf.tidy(() => {
      const run = (x: tf.Tensor) => tf.valueAndGrad((t: tf.Tensor) => gelu(t))(x);
      const { value, grad } = run(tf.tensor1d([-1e4, -40, 40, 1e4]));
      expectClose(value.dataSync(), [0, 0, 40, 1e4]);
      expectClose(grad.dataSync(), [0, 0, 1, 1]);
    });
  });

  test("attention survives logits beyond exp's range", () => {
    tf.tidy(() => {
      const qkv = tf.tensor3d([
        [
          [1e4, 0, 1e4, 0, 1, 2],
          [1e4, 0, -1e4, 0, 3, 4],
        ],
      ]); // prettier-ignore
      const { value, grad } = tf.valueAndGrad((t: tf.Tensor) => attention(t, 1))(qkv);
      expectClose(value.dataSync(), [1, 2, 1, 2]);
      expectClose(grad.dataSync(), [0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0]);
    });
  });

  test("normalize by hand", () => {
    tf.tidy(() => {
      const y = normalize(
        tf.tensor2d([
          [1, 2],
          [3, 6],
        ]),
        [1, 2],
        [0.5, 4],
      ); // prettier-ignore
      expectClose(y.dataSync(), [0, 0, 4, 1]);
    });
  });
});

test("attention over many tokens, where wasm takes the batch apart: as on the cpu", async () => {
  const [tokens, width, heads] = [136, 128, 2]; // 136 x 64 x 136 is beyond the threshold
  const wave = (i: number) => Math.sin(i * 0.37) + Math.cos(i * i * 0.11);
  const values = Float32Array.from({ length: 2 * tokens * 3 * width }, (_, i) => wave(i));
  const weights = Float32Array.from({ length: 2 * tokens * width }, (_, i) => wave(7 * i + 3));
  const run = async (backend: string) => {
    await selectBackend(backend);
    return tf.tidy(() => {
      const { aux, gradients } = valueAndGradients(
        ({ qkv }) => {
          const y = attention(qkv!, heads);
          return { loss: tf.sum(tf.mul(y, tf.tensor(weights, y.shape))), aux: { y } };
        },
        { qkv: tf.tensor3d(values, [2, tokens, 3 * width]) },
      );
      return [aux.y!.dataSync(), gradients.qkv!.dataSync()] as const;
    });
  };
  const [y, gradient] = await run("cpu");
  const [otherY, otherGradient] = await run("wasm");
  expectClose(otherY, y, { absolute: 2e-6 });
  expectClose(otherGradient, gradient, { absolute: 2e-5 });
  expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(0.1);
});

describe("errors name the shapes", () => {
  beforeAll(() => selectBackend("cpu"));

  test.each([
    [
      () => linear(tf.zeros([2, 3]), tf.zeros([4, 2])),
      /weight \[out, in\], got \[2,3\] and \[4,2\]/,
    ],
    [
      () => linear(tf.zeros([2, 3]), tf.zeros([4, 3]), tf.zeros([3])),
      /bias must be \[4\], got \[3\]/,
    ],
    [
      () => layerNorm(tf.zeros([2, 3]), tf.zeros([3]), tf.zeros([2])),
      /bias must be \[3\], got \[2\]/,
    ],
    [() => attention(tf.zeros([2, 3, 10]), 2), /got \[2,3,10\] and 2 heads/],
    [() => attention(tf.zeros([2, 12]), 2), /\[B, N, 3D\]/],
    [() => dropPath(tf.zeros([2, 3]), tf.zeros([3])), /scale must be \[2\], got \[3\]/],
    [() => softmaxCrossEntropy(tf.zeros([2, 3]), tf.zeros([2])), /both be \[B, C\]/],
    [() => normalize(tf.zeros([2, 3]), [0, 0], [1, 1]), /must hold 3 values.*got \[0,0\]/],
    [() => normalize(tf.zeros([2, 1]), [0], [0]), /std positive, got \[0\] and \[0\]/],
  ])("%#", (run, message) => {
    expect(run).toThrow(message);
  });
});

test("conv2d refuses what it cannot compute, by name", () => {
  tf.tidy(() => {
    const [x, w] = [tf.zeros([1, 4, 4, 2]), tf.zeros([3, 2, 3, 3])];
    expect(() => conv2d(x, tf.zeros([3, 1, 3, 3]))).toThrow(/weight \[out, in, kh, kw\], got/);
    expect(() => conv2d(x, w, { bias: tf.zeros([2]) })).toThrow(
      "conv2d: bias must be [3], got [2]",
    );
    expect(() => conv2d(x, w, { stride: 0 })).toThrow(/stride must be a positive integer, got 0/);
    expect(() => conv2d(x, w, { padding: -1 })).toThrow(/padding must be an integer, 0 or more/);
    expect(() => conv2d(x, tf.zeros([3, 2, 5, 5]))).toThrow(/5x5 window must fit the padded image/);
    expect(() => conv2d(x, w, { strides: 2 } as object)).toThrow(/unknown option "strides"/);
    expect(() => batchNorm(x, tf.ones([3]), tf.ones([2]))).toThrow(/gain must be \[2\], got \[3\]/);
    expect(() => batchNorm(tf.ones([1, 2]), tf.ones([2]), tf.ones([2]))).toThrow(/at least two/);
  });
});

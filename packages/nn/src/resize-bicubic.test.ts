import { readFileSync } from "node:fs";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { selectBackend } from "./index.ts";
import { bicubicMatrix, resizeBicubic } from "./layers.ts";

const fixture = readFixture(new URL("./__fixtures__/resize-bicubic.safetensors", import.meta.url));

describe.each(["cpu", "wasm"])("resizeBicubic on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("32 -> 224 as the official models resize", () => {
    tf.tidy(() => {
      const x = tf.tensor4d(fixture.get("in_32").data as Float32Array, [1, 32, 32, 1]);
      const rows = tf.tensor1d(Int32Array.from(fixture.get("rows").data), "int32");
      const y = tf.gather(resizeBicubic(x, 224, 224), rows, 1);
      // torch computes source coordinates in float32: 1.1e-5 of its own rounding
      expectClose(y.dataSync(), fixture.get("out_224_rows").data, { absolute: 2e-5 });
    });
  });

  test("channels stay apart, both axes are independent, sizes may differ", () => {
    tf.tidy(() => {
      const column = [1, 5, 2];
      const row = [2, -1, 4, 0.5];
      const values = column.flatMap((a) => row.flatMap((b) => [a * b, 10 * a * b]));
      const y = resizeBicubic(tf.tensor4d(values, [1, 3, 4, 2]), 5, 7).dataSync();
      const apply = (matrix: Float64Array, x: number[]) =>
        Array.from({ length: matrix.length / x.length }, (_, i) =>
          x.reduce((sum, value, j) => sum + value * matrix[i * x.length + j]!, 0),
        );
      const tall = apply(bicubicMatrix(3, 5), column);
      const wide = apply(bicubicMatrix(4, 7), row);
      const expected = tall.flatMap((a) => wide.flatMap((b) => [a * b, 10 * a * b]));
      expectClose(y, expected, { absolute: 2e-5 });
    });
  });

  test("is linear: its gradient is the transposed matrix", () => {
    tf.tidy(() => {
      const x = tf.ones([2, 3, 3, 1]);
      const gradient = tf
        .grad((t: tf.Tensor) => tf.sum(resizeBicubic(t, 6, 6)))(x)
        .dataSync();
      const matrix = bicubicMatrix(3, 6);
      const sums = [0, 1, 2].map((j) =>
        [0, 1, 2, 3, 4, 5].reduce((s, i) => s + matrix[3 * i + j]!, 0),
      );
      const plane = sums.flatMap((a) => sums.map((b) => a * b));
      expectClose(gradient, [...plane, ...plane], { absolute: 1e-5 });
    });
  });

  test("a batch of large images is resized image by image, its gradient too", () => {
    tf.tidy(() => {
      const values = Float32Array.from({ length: 2 * 40 * 40 * 3 }, (_, i) => Math.sin(i * i));
      const x = tf.tensor4d(values, [2, 40, 40, 3]);
      const both = tf.valueAndGrad((t: tf.Tensor) => resizeBicubic(t, 160, 160))(x);
      for (const row of [0, 1]) {
        const one = tf.valueAndGrad((t: tf.Tensor) => resizeBicubic(t, 160, 160))(
          tf.slice(x, row, 1),
        );
        const close = (whole: tf.Tensor, part: tf.Tensor) =>
          expectClose(tf.slice(whole, row, 1).dataSync(), part.dataSync(), { absolute: 1e-5 });
        close(both.value, one.value);
        close(both.grad, one.grad);
      }
    });
  });

  test("the same size is the image itself; nothing is kept", async () => {
    const x = tf.tensor4d([0.1, 0.2, 0.3, 0.4], [1, 2, 2, 1]);
    const same = resizeBicubic(x, 2, 2);
    expectClose(same.dataSync(), x.dataSync());
    same.dispose();
    await expectNoLeak(() => resizeBicubic(x, 5, 3).dispose());
    x.dispose();
  });
});

test("bicubicMatrix by hand: doubling takes the quarter points, a = -0.75, borders clamped", () => {
  const [outer, near, far, last] = [-0.10546875, 0.87890625, 0.26171875, -0.03515625]; // keys(1.25) keys(0.25) keys(0.75) keys(1.75)
  const matrix = bicubicMatrix(4, 8);
  expectClose(matrix.subarray(12, 16), [outer!, near!, far!, last!]); // centre 1.25
  expectClose(matrix.subarray(0, 4), [last! + far! + near!, outer!, 0, 0]); // centre -0.25
  for (let row = 0; row < 8; row++)
    expectClose([matrix.subarray(4 * row, 4 * row + 4).reduce((s, x) => s + x, 0)], [1], {
      absolute: 1e-15,
    });
});

test("errors name the values", () => {
  expect(() => resizeBicubic({ rank: 3, shape: [2, 2, 1] } as tf.Tensor, 4, 4)).toThrow(
    /x must be \[B, H, W, C\], got \[2,2,1\]/,
  );
  expect(() => resizeBicubic({ rank: 4, shape: [1, 2, 2, 1] } as tf.Tensor, 0, 4)).toThrow(
    /positive integers, got 0 and 4/,
  );
});

test("with antialiasing, larger and smaller, as torchvision", () => {
  const fixture = JSON.parse(
    readFileSync(new URL("./__fixtures__/resize-antialiased.json", import.meta.url), "utf8"),
  );
  for (const [from, to] of [
    [4, 9],
    [12, 5],
  ] as const) {
    const { in: values, out } = fixture[`${from}to${to}`];
    tf.tidy(() => {
      const x = tf.tensor4d(values, [1, from, from, 1]);
      const y = resizeBicubic(x, to, to, { antialias: true });
      expectClose(y.dataSync(), out, { absolute: 1e-6 });
    });
  }
});

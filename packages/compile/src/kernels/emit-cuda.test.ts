import "@tensorflow/tfjs-backend-cpu";
import type { Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { expectEagerOnShim } from "../testing/on-shim.ts";
import { draws } from "../testing/sweep.ts";
import { findCCompiler } from "./c-compiler.ts";

const compiler = await findCCompiler();
const folder = temporaryFolders("cuda")();
const random = draws(12, "cuda");

beforeAll(() => tf.setBackend("cpu"));

describe.skipIf(!compiler)("CUDA kernels on the shim", () => {
  it("computes elementwise chains, rows and columns of every form", async () => {
    for (const [rows, columns] of [
      [5, 7],
      [1, 33],
      [64, 1],
      [70, 768],
    ] as const) {
      const inputs = {
        x: random.floats([rows, columns]),
        y: random.floats([rows, columns], 0.5, 2),
        row: random.floats([columns]),
        column: random.floats([rows, 1]),
        scalar: random.floats([]),
      };
      const kernels = await expectEagerOnShim(
        ({ x, y, row, column, scalar }: Tensors) => {
          const a = tf.erf(tf.mul(tf.add(x!, row!), scalar!));
          const b = tf.div(tf.exp(tf.sub(x!, column!)), y!);
          const c = tf.maximum(tf.minimum(a, b), tf.neg(tf.abs(x!)));
          const d = tf.sub(tf.sigmoid(c), tf.relu(tf.sub(y!, 1)));
          const e = tf.mul(tf.sqrt(y!), tf.reciprocal(y!));
          return { a, c, e: tf.add(d, e), s: tf.softmax(c), n: tf.sum(tf.mul(c, e), 0) };
        },
        inputs,
        { folder },
      );
      expect(kernels).toBeGreaterThan(0);
    }
  });
});

import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { consistencyLoss } from "./index.ts";

// No import of @dmae/nn here: this package registers the gradients that it needs by itself.
test("the gradient is there with nothing but tfjs-core and a backend", async () => {
  await tf.setBackend("cpu");
  // p_1 = (1/2, 1/2), p_2 = (3/4, 1/4): d mse / d z_2 = 2 sum_c d_c p_2c (1[c = k] - p_2k) with d = (1/4, -1/4)
  const logits = [tf.tensor2d([[0, 0]]), tf.tensor2d([[Math.log(3), 0]])];
  const slopes = (mode: "mse" | "default") =>
    tf.grads((a: tf.Tensor, b: tf.Tensor) => consistencyLoss([a, b], { lambda: 1, mode }))(logits);
  const [first, second] = slopes("mse");
  expectClose(second!.dataSync(), [3 / 16, -3 / 16], { relative: 1e-6 });
  expectClose(first!.dataSync(), [-1 / 4, 1 / 4], { relative: 1e-6 });
  const sums = slopes("default").map((slope) => tf.sum(slope).dataSync()[0]!);
  expectClose(sums, [0, 0], { absolute: 1e-7 }); // a shift of all logits changes nothing
  expect(slopes("default")[1]!.dataSync()[0]).toBeGreaterThan(0); // towards the mean of the copies
});

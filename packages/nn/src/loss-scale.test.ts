import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { withLossScale } from "./loss-scale.ts";
import { valueAndGradients } from "./value-and-gradients.ts";

const gradientAt = (w: number[], scale: number) =>
  tf.tidy(() => {
    const { value, finite } = withLossScale(tf.scalar(scale), () =>
      valueAndGradients(({ w }) => ({ loss: tf.sum(tf.square(w!)) }), { w: tf.tensor1d(w) }),
    );
    return {
      loss: value.loss.dataSync()[0],
      gradient: [...value.gradients.w!.dataSync()],
      finite: finite.dataSync()[0],
    };
  });

it("gives the loss and gradients of the function without a scale", () => {
  expect(gradientAt([1, -2], 1024)).toEqual({ loss: 5, gradient: [2, -4], finite: 1 });
});

it("says where the scaled gradients left the range, and ends with the call", () => {
  expect(gradientAt([1, 1e30], 1e30).finite).toBe(0);
  const { gradients } = valueAndGradients(({ w }) => ({ loss: tf.sum(tf.square(w!)) }), {
    w: tf.tensor1d([3]),
  });
  expect([...gradients.w!.dataSync()]).toEqual([6]);
});

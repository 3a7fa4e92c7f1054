import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { valueAndGradients } from "./value-and-gradients.ts";
import { withoutGradient } from "./without-gradient.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** `sum(c x)` with c the constant that `attack` makes of x = 3. */
const slopeWith = (attack: (x: tf.Tensor) => tf.Tensor) =>
  tf.tidy(() => {
    const { gradients } = valueAndGradients(
      ({ x }) => {
        const before = tf.mul(x!, 2); // recorded before and after the interruption
        const constant = withoutGradient(() => attack(x!));
        return { loss: tf.sum(tf.mul(constant, tf.add(before, x!))) };
      },
      { x: tf.tensor1d([3]) },
    );
    return gradients.x!.dataSync()[0];
  });

test("what it returns is a constant of the surrounding gradient: d/dx c * 3x = 3c", () => {
  expect(slopeWith((x) => tf.square(x))).toBe(27);
});

test("it may take gradients of its own: c = d/dx x^3 = 27", () => {
  const slope = (x: tf.Tensor) =>
    valueAndGradients((p) => ({ loss: tf.sum(tf.mul(p.x!, tf.square(p.x!))) }), { x }).gradients.x!;
  expect(slopeWith(slope)).toBe(81);
});

test("the surrounding gradient goes on after an error inside", () => {
  tf.tidy(() => {
    const { gradients } = valueAndGradients(
      ({ x }) => {
        const broken = () => withoutGradient(() => tf.matMul(x! as tf.Tensor2D, x! as tf.Tensor2D));
        expect(broken).toThrow();
        return { loss: tf.sum(tf.square(x!)) };
      },
      { x: tf.tensor1d([3]) },
    );
    expectClose(gradients.x!.dataSync(), [6]);
  });
});

test("works inside tf.grad too, and outside any gradient", async () => {
  tf.tidy(() => {
    const slope = tf.grad((x) =>
      tf.sum(
        tf.mul(
          x,
          withoutGradient(() => tf.square(x)),
        ),
      ),
    );
    expectClose(slope(tf.tensor1d([3])).dataSync(), [9]);
  });
  await expectNoLeak(() => withoutGradient(() => tf.square(tf.tensor1d([3]))).dispose());
});

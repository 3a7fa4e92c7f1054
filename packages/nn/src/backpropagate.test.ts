import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { disposeTensors, selectBackend, valueAndGradients } from "./index.ts";

/** An addition whose gradient is `gradFunc`; none: it has no gradient. */
function addition(name: string, gradFunc?: tf.GradFunc) {
  tf.registerKernel({
    kernelName: name,
    backendName: "cpu",
    kernelFunc: ({ inputs }) => tf.add(inputs.a as tf.Tensor, inputs.b as tf.Tensor),
  });
  if (gradFunc) tf.registerGradient({ kernelName: name, gradFunc });
  return (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.engine().runKernel(name, { a, b });
}

const gradientsOf = (add: ReturnType<typeof addition>, a: tf.Tensor, b: tf.Tensor) =>
  valueAndGradients(({ a, b }) => ({ loss: tf.sum(tf.mul(add(a!, b!), 3)) }), { a, b });

describe("walking the tape", () => {
  const a = () => tf.tensor1d([1, 2]);
  beforeAll(() => selectBackend("cpu"));
  afterAll(() => {
    for (const kernel of tf.getKernelsForBackend("cpu"))
      if (kernel.kernelName.startsWith("Test")) tf.unregisterKernel(kernel.kernelName, "cpu");
  });

  test("a gradient function may hand dy itself to several inputs", async () => {
    const add = addition("TestAlias", (dy) => ({
      a: () => dy as tf.Tensor,
      b: () => dy as tf.Tensor,
    }));
    const x = a();
    await expectNoLeak(() => {
      const { loss, gradients } = gradientsOf(add, x, x);
      expectClose(gradients.a!.dataSync(), [6, 6]);
      expectClose(gradients.b!.dataSync(), [6, 6]);
      loss.dispose();
      disposeTensors(gradients);
    });
    x.dispose();
  });

  test("a tensor that reaches the loss by several ways, one of them long", () => {
    tf.tidy(() => {
      const { gradients } = valueAndGradients(
        ({ x }) => {
          const y = tf.square(x!);
          const z = tf.mul(y, tf.add(y, x!)); // x^4 + x^3
          return { loss: tf.sum(tf.add(z, tf.sub(y, tf.mul(y, 2)))) }; // - x^2
        },
        { x: tf.tensor1d([1, 2]) },
      );
      expectClose(gradients.x!.dataSync(), [4 + 3 - 2, 32 + 12 - 4]);
    });
  });

  test.each([
    ["TestNone", undefined, /TestNone has no gradient/],
    [
      "TestRank",
      (dy: tf.Tensor) => ({ a: () => tf.sum(dy), b: () => dy }),
      /input a must be float32 \[2\], got float32 \[\]/,
    ],
    [
      "TestType",
      (dy: tf.Tensor) => ({ a: () => tf.cast(dy, "int32"), b: () => dy }),
      /got int32 \[2\]/,
    ],
    [
      "TestMissing",
      (dy: tf.Tensor) => ({ a: () => dy }),
      /gradient of TestMissing for its input b .* got none/,
    ],
  ] as const)(
    "%s is an error that names the kernel, and nothing stays",
    async (name, gradFunc, message) => {
      const add = addition(name, gradFunc as tf.GradFunc | undefined);
      const [x, y] = [a(), a()];
      await expectNoLeak(() => {
        expect(() => gradientsOf(add, x, y)).toThrow(message);
      });
      tf.dispose([x, y]);
    },
  );

  test("inside another gradient it is refused, and afterwards all is as before", async () => {
    const x = tf.scalar(2);
    await expectNoLeak(() => {
      const nested = () =>
        valueAndGradients(
          ({ x }) => {
            const inner = valueAndGradients(({ y }) => ({ loss: tf.square(y!) }), { y: x! });
            return { loss: inner.gradients.y! };
          },
          { x },
        );
      expect(nested).toThrow(/gradients of gradients are not supported/);
      const { loss, gradients } = valueAndGradients(({ x }) => ({ loss: tf.square(x!) }), { x });
      expectClose(gradients.x!.dataSync(), [4]);
      tf.dispose([loss, gradients]);
    });
    x.dispose();
  });
});

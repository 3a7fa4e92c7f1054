import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { selectBackend } from "./index.ts";
import { KERNELS } from "./kernels.ts";
import { attention, gelu, layerNorm, linear } from "./layers.ts";

// A backend of its own name that computes on the cpu: stands for the tracing backend.
const own = "kernels-test";

beforeAll(async () => {
  await selectBackend("cpu");
  const factory = tf.findBackendFactory("cpu")!;
  tf.registerBackend(own, factory);
  tf.copyRegisteredKernels("cpu", own);
});

afterEach(() => tf.setBackend("cpu"));

test("a backend that registers a kernel of ours receives one node with its inputs and attributes", async () => {
  await tf.setBackend(own);
  const calls: string[] = [];
  for (const [kernelName, outputs] of [
    [KERNELS.layerNorm, 3],
    [KERNELS.layerNormGrad, 3],
  ] as const)
    tf.registerKernel({
      kernelName,
      backendName: own,
      kernelFunc: ({ inputs, attrs }) => {
        calls.push(`${kernelName} {${Object.keys(inputs)}} ${JSON.stringify(attrs)}`);
        const x = inputs.x as tf.Tensor;
        return Array.from({ length: outputs }, (_, i) => tf.fill(i === 0 ? x.shape : [3], 42));
      },
    });
  tf.tidy(() => {
    const { value, grad } = tf.valueAndGrad((x: tf.Tensor) =>
      layerNorm(x, tf.ones([3]), tf.zeros([3]), 0.25),
    )(tf.ones([2, 3]));
    expectClose(value.dataSync(), Array(6).fill(42));
    expectClose(grad.dataSync(), Array(6).fill(42));
  });
  expect(calls).toEqual([
    'DmaeLayerNorm {x,gain,bias} {"epsilon":0.25}',
    "DmaeLayerNormGrad {x,gain,mean,inverseStd,dy} {}",
  ]);
  tf.unregisterKernel(KERNELS.layerNorm, own);
  tf.unregisterKernel(KERNELS.layerNormGrad, own);
});

test("under a tape each operation is one node, forward and backward", () => {
  const names = (run: () => void) => {
    const seen: string[] = [];
    const engine = tf.engine();
    const original = engine.runKernel;
    engine.runKernel = function (this: typeof engine, name: string, ...rest: never[]) {
      if (name.startsWith("Dmae")) seen.push(name);
      return original.call(this, name, ...(rest as unknown as [never])) as never;
    };
    try {
      tf.tidy(run);
    } finally {
      engine.runKernel = original;
    }
    return seen;
  };
  const seen = names(() => {
    const loss = (x: tf.Tensor) => {
      const qkv = linear(layerNorm(x, tf.ones([4]), tf.zeros([4])), tf.ones([12, 4]));
      return tf.sum(gelu(attention(qkv, 2)));
    };
    tf.grad(loss)(tf.ones([1, 3, 4]));
  });
  expect(seen).toEqual([
    "DmaeLayerNorm",
    "DmaeLinear",
    "DmaeAttention",
    "DmaeGelu",
    "DmaeGeluGrad",
    "DmaeAttentionGrad",
    "DmaeLayerNormGrad",
  ]);
});

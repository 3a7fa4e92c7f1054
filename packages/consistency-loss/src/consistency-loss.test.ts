import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { selectBackend, valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { entropy, klDivergence } from "./divergence.ts";
import { type ConsistencyMode, consistencyLoss } from "./index.ts";

const fixture = readFixture(new URL("./__fixtures__/consistency.safetensors", import.meta.url));
const cases = ["normal", "wide", "near_equal", "identical", "extreme", "underflow"].flatMap(
  (name) => [`${name}_m2`, `${name}_m3`],
);
const modes: ConsistencyMode[] = ["default", "xent", "kl", "mse"];
const weights = { lambda: Number(fixture.metadata.lbd), mu: Number(fixture.metadata.eta) };

/** Loss and gradient as plain numbers; `asList` passes the copies as separate tensors. */
function differentiate(
  data: Float32Array,
  shape: number[],
  options: Parameters<typeof consistencyLoss>[1],
  asList = false,
) {
  return tf.tidy(() => {
    const { loss, gradients } = valueAndGradients(
      ({ logits }) => ({
        loss: consistencyLoss(asList ? tf.unstack(logits!) : logits!, options),
      }),
      { logits: tf.tensor(data, shape) },
    );
    return { loss: loss.dataSync()[0]!, gradient: gradients.logits!.dataSync() };
  });
}

describe.each(["cpu", "wasm"])("consistencyLoss on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  describe.each(modes)("mode %s", (mode) => {
    test.each(cases)("%s: the official loss and gradient", (name) => {
      const { shape, data } = fixture.get(`${name}.logits`);
      for (const asList of [false, true]) {
        const options = { ...weights, mode };
        const { loss, gradient } = differentiate(data as Float32Array, shape, options, asList);
        const expected = fixture.get(`${name}.${mode}.loss`).data;
        expectClose([loss], expected, { absolute: 1e-6, relative: 1e-5 });
        expectClose(gradient, fixture.get(`${name}.${mode}.grad`).data, {
          absolute: 1e-6,
          relative: 1e-5,
        });
      }
    });
  });

  test("value worked out by hand: p_1 = (1/2, 1/2), p_2 = (3/4, 1/4)", () => {
    const logits = tf.tensor3d([[[0, 0]], [[Math.log(3), 0]]]);
    const p = [5 / 8, 3 / 8];
    const kl = (q: number[]) => p.reduce((s, x, i) => s + x * Math.log(x / q[i]!), 0);
    const divergence = (kl([0.5, 0.5]) + kl([0.75, 0.25])) / 2;
    const h = -p.reduce((s, x) => s + x * Math.log(x), 0);
    const run = (mode: ConsistencyMode) =>
      tf.tidy(() => consistencyLoss(logits, { lambda: 3, mu: 0.25, mode }).dataSync()[0]!);
    expectClose([run("default")], [3 * divergence + 0.25 * h], { relative: 1e-6 });
    expectClose([run("xent")], [3 * (divergence + h)], { relative: 1e-6 });
    expectClose([run("kl")], [3 * divergence], { relative: 2e-6 });
    expectClose([run("mse")], [3 * 2 * (1 / 4) ** 2], { relative: 1e-6 });
    logits.dispose();
  });

  test.each([1e3, 1e6, 1e20, 3e38])("finite with logits of %d", (size) => {
    const data = new Float32Array([size, -size, 0, -size, size, 0, 0, -size, size, 1, 2, 3]);
    for (const mode of modes) {
      const { loss, gradient } = differentiate(data, [2, 2, 3], { ...weights, mode });
      expect(Number.isFinite(loss)).toBe(true);
      expect(Array.from(gradient).every(Number.isFinite)).toBe(true);
    }
  });

  test("mu is 0.5 by default, and acts in the default mode only", () => {
    const { shape, data } = fixture.get("normal_m3.logits");
    const loss = (options: Parameters<typeof consistencyLoss>[1]) =>
      differentiate(data as Float32Array, shape, options).loss;
    expect(loss({ lambda: 2 })).toBe(loss({ lambda: 2, mu: 0.5, mode: "default" }));
    expect(loss({ lambda: 2, mu: 1 })).not.toBe(loss({ lambda: 2 }));
    for (const mode of ["xent", "kl", "mse"] as const)
      expect(loss({ lambda: 2, mu: 1, mode })).toBe(loss({ lambda: 2, mode }));
  });

  test("keeps nothing and disposes of nothing", async () => {
    const logits = [tf.ones([2, 3]), tf.zeros([2, 3])];
    for (const mode of modes)
      await expectNoLeak(() => consistencyLoss(logits, { lambda: 1, mode }).dispose());
    expect(logits[0]!.isDisposed).toBe(false);
    tf.dispose(logits);
  });
});

test("errors name the rule and the value", () => {
  const copies = tf.zeros([2, 4, 3]);
  const run = (logits: unknown, options: unknown) => () =>
    consistencyLoss(logits as tf.Tensor, options as { lambda: number });
  expect(run(copies, { lambda: 1, mode: "l1" })).toThrow(/mode must be one of default.*got "l1"/);
  expect(run(copies, { lambda: -1 })).toThrow(
    /lambda must be 0 or more and finite in float32, got -1/,
  );
  expect(run(copies, { lambda: "2" })).toThrow(/lambda must be 0 or more .*got "2"/);
  expect(run(copies, { lambda: 1e39 })).toThrow(/lambda must be 0 or more .*got 1e\+39/);
  expect(run(copies, { lambda: 1, mu: 1e39 })).toThrow(/mu must be 0 or more .*got 1e\+39/);
  expect(run(copies, {})).toThrow(/lambda must be 0 or more and finite in float32, got undefined/);
  expect(run(copies, { lambda: 1, mu: Number.NaN })).toThrow(
    /mu must be 0 or more and finite in float32, got NaN/,
  );
  expect(run(tf.zeros([1, 4, 3]), { lambda: 1 })).toThrow(/m >= 2, got \[1,4,3\]/);
  const unequal = () => klDivergence(tf.zeros([4, 3]), tf.zeros([4, 2]));
  expect(unequal).toThrow(/must both be \[B, C\], got \[4,3\] and \[4,2\]/);
  expect(run([tf.zeros([4, 3]), tf.zeros([4, 2])], { lambda: 1 })).toThrow(/got \[4,3\], \[4,2\]/);
});

describe.each(["cpu", "wasm"])("divergences on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("klDivergence: value, and gradients for targets and logits, zero where a target is zero", () => {
    tf.tidy(() => {
      const { loss, gradients } = valueAndGradients(
        ({ targets, logits }) => ({ loss: tf.sum(klDivergence(targets!, logits!)) }),
        {
          targets: tf.tensor2d([[0.25, 0.75, 0]]),
          logits: tf.tensor2d([[Math.log(2), 0, -200]]),
        },
      );
      const value = 0.25 * Math.log(0.25 / (2 / 3)) + 0.75 * Math.log(0.75 / (1 / 3));
      expectClose(loss.dataSync(), [value], { relative: 1e-6 });
      expectClose(
        gradients.targets!.dataSync(),
        [Math.log(0.25 / (2 / 3)) + 1, Math.log(0.75 / (1 / 3)) + 1, 0],
        { relative: 1e-6 },
      );
      const direct = [2 / 3 - 0.25, 1 / 3 - 0.75, 0];
      expectClose(gradients.logits!.dataSync(), direct, { absolute: 1e-7 });
    });
  });

  test("entropy: log C for the uniform, 0 for a certain one, gradient -(log p + 1)", () => {
    tf.tidy(() => {
      const p = tf.tensor2d([
        [0.25, 0.25, 0.25, 0.25],
        [1, 0, 0, 0],
      ]);
      expectClose(entropy(p).dataSync(), [Math.log(4), 0], { relative: 1e-6 });
      const slope = tf
        .grad((x: tf.Tensor) => tf.sum(entropy(x)))(p)
        .dataSync();
      const zero = -Math.log(1e-20);
      expectClose(slope.subarray(0, 4), Array(4).fill(Math.log(4) - 1), { relative: 1e-6 });
      expectClose(slope.subarray(4), [-1, zero, zero, zero], { relative: 1e-6 });
    });
  });
});

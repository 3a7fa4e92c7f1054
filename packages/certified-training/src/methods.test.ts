import "@tensorflow/tfjs-backend-cpu";
import { key, uniform } from "@dmae/core";
import { type ApplyFunction, type Tensors, valueAndGradients } from "@dmae/nn";
import { linear } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { binomial } from "./binomial.ts";
import {
  catRs,
  consistency,
  createMethod,
  gaussian,
  macer,
  smoothAdv,
  smoothMix,
  stability,
  type TrainingMethod,
} from "./index.ts";
import { inverseNormal } from "./inverse-normal.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A linear classifier of 2 x 2 images, 3 classes. */
const apply: ApplyFunction = ({ weight }, images) => ({
  logits: linear(tf.reshape(images, [-1, 4]), weight!),
});
const numbers = (seed: number, size: number, low = 0, high = 1) =>
  uniform(key(seed), size, { low, high });
const weight = () => tf.tensor2d(numbers(1, 12, -2, 2), [3, 4]);
const images = () => tf.tensor4d(numbers(2, 8), [2, 2, 2, 1]);
const targets = () => tf.tensor2d([0, 1, 0, 0, 0, 1], [2, 3]);
const noise = (copies: number) => tf.tensor4d(numbers(3, 8 * copies, -2, 2), [2 * copies, 2, 2, 1]);

function lossOf(
  method: TrainingMethod,
  sigma: number | tf.Tensor = 0.25,
  { apply: model = apply, targets: labels = targets } = {},
) {
  return tf.tidy(() => {
    const draws = { noise: noise(method.copies), sigma, uniform: tf.tensor1d([0.2, 0.9]) };
    const softLabels = tf.tensor2d([0.2, 0.7, 0.1, 0, 0.5, 0.5], [2, 3]);
    const batch = { images: images(), targets: labels(), softLabels };
    return method.loss(model, { weight: weight() }, batch, draws).loss.dataSync()[0]!;
  });
}

const settings = { copies: 2, steps: 2, epsilon: 0.5, warmupEpochs: 4, lambda: 2 };
const { copies, steps, epsilon, warmupEpochs, lambda } = settings;
const mix = { copies, steps, warmupEpochs, alpha: 0.5, mixStep: 1, eta: 3 };
const all: Record<string, TrainingMethod> = {
  gaussian: gaussian({ copies }),
  stability: stability({ lambda }),
  smoothAdv: smoothAdv({ copies, steps, epsilon, warmupEpochs }),
  "smoothAdv, DDN": smoothAdv({ copies, steps, epsilon, warmupEpochs, attack: "ddn" }),
  macer: macer({ copies, lambda, beta: 4, margin: 8, deferredUntilEpoch: 30 }),
  consistency: consistency({ copies, lambda }),
  smoothMix: smoothMix(mix),
  catRs: catRs({ copies, steps, epsilon, lambda, doubleRadiusFromEpoch: 50 }),
};

describe.each(Object.entries(all))("%s", (_, method) => {
  it("keeps and disposes of nothing, with and without a gradient", async () => {
    const given = { weight: weight(), images: images(), targets: targets() };
    const more = { noise: noise(method.copies), uniform: tf.tensor1d([0.2, 0.9]) };
    const softLabels = tf.tensor2d([0.2, 0.7, 0.1, 0, 0.5, 0.5], [2, 3]);
    const run = (params: { weight: tf.Tensor }) =>
      method.loss(apply, params, { ...given, softLabels }, { ...more, sigma: 0.25 });
    await expectNoLeak(() => tf.dispose(run(given)));
    await expectNoLeak(() => {
      const params = { weight: given.weight };
      tf.dispose(valueAndGradients(({ weight }) => run({ weight: weight! }), params));
    });
    expect(given.weight.isDisposed).toBe(false);
    tf.dispose([given, more, softLabels]);
  });

  it("takes a sigma for each image", () => {
    const each = tf.tensor1d([0.25, 0.25]);
    expectClose([lossOf(method, each)], [lossOf(method)], { relative: 1e-6 });
    each.dispose();
  });

  it("is finite without noise where no image has a gradient", () => {
    const flat: ApplyFunction = (params, x) => ({ logits: tf.mul(apply(params, x).logits, 0) });
    expect(Number.isFinite(lossOf(method, 0, { apply: flat }))).toBe(true);
    const each = tf.tensor1d([0, 0.25]);
    expect(Number.isFinite(lossOf(method, each, { apply: flat }))).toBe(true);
    each.dispose();
  });

  it("has settings that are plain JSON and name the method", () => {
    expect(JSON.parse(JSON.stringify(method.settings))).toEqual(method.settings);
    expect(method.settings.name).toMatch(/^[a-zA-Z]+$/);
  });

  const { copies } = method;
  const given = (): object => ({
    ...{ images: images(), targets: targets(), softLabels: targets() },
    ...{ noise: noise(copies), sigma: 1, uniform: tf.tensor1d([0, 0]) },
  });
  type Wrong = readonly [name: string, make: (() => unknown) | undefined, message: string];
  it.each<Wrong>([
    ["images", undefined, "batch.images must be a tensor [B, H, W, C], got undefined"],
    ["targets", () => tf.tensor1d([0, 1]), "classes], got [2]"],
    ["targets", undefined, "classes], got undefined"],
    [
      "noise",
      () => noise(5),
      `draws.noise must be a tensor [${2 * copies}, 2, 2, 1], ${copies} for each image, got [10, 2, 2, 1]`,
    ],
    ["noise", undefined, "got undefined"],
    [
      "sigma",
      undefined,
      "draws.sigma must be 0 or more and finite, or a tensor [2], got undefined",
    ],
    ["sigma", () => -1, "got -1"],
    ["sigma", () => tf.tensor1d([1, 1, 1]), "got [3]"],
  ])("refuses other %s", (name, make, message) => {
    tf.tidy(() => {
      const all = { ...given(), [name]: make?.() };
      expect(() => method.loss(apply, { weight: weight() }, all as never, all as never)).toThrow(
        message,
      );
    });
  });
});

it("without a radius SmoothAdv, and without weights consistency and stability, are Gaussian augmentation", () => {
  const expected = [lossOf(gaussian({ copies: 2 }))];
  const none = { ...settings, epsilon: 0 };
  const { lambda: _, ...attack } = none;
  expectClose([lossOf(smoothAdv(attack))], expected, { relative: 1e-6 });
  expectClose([lossOf(consistency({ copies: 2, lambda: 0, mu: 0 }))], expected, { relative: 1e-6 });
  expectClose([lossOf(smoothMix({ ...mix, mixStep: 0, eta: 0 }))], expected, { relative: 1e-6 });
});

it("without a gradient PGD walks along the draws, as far as with noise", () => {
  const distances = (sigma: number) => {
    let distance: ArrayLike<number> = [];
    const flat: ApplyFunction = (params, x, options = {}) => {
      const moved = tf.sub(x, tf.add(images(), tf.mul(noise(1), sigma)));
      if (options.training) distance = tf.sum(tf.square(moved), [1, 2, 3]).dataSync();
      return { logits: tf.mul(apply(params, x).logits, 0) };
    };
    const method = smoothAdv({ copies: 1, steps: 2, epsilon: 0.1, warmupEpochs: 1 });
    lossOf(method, sigma, { apply: flat });
    return distance;
  };
  expect(Math.min(...Array.from(distances(0)))).toBeGreaterThan(0.001);
  expectClose(distances(0), distances(0.25), { absolute: 1e-5 });
});

it("CAT-RS of equal copies has the gradient of one", () => {
  const gradient = (count: number) =>
    tf.tidy(() => {
      const one = tf.tensor4d(numbers(3, 8, -2, 2), [2, 2, 2, 1]);
      const counts = tf.tensor1d([count, count]);
      const draws = { noise: tf.tile(one, [count, 1, 1, 1]), sigma: 0.25, counts };
      const batch = { images: images(), targets: targets(), softLabels: targets() };
      const { loss } = catRs({ copies: count, steps: 1, epsilon: 0.5, lambda: 2 });
      const run = (params: Tensors) => loss(apply, params, batch, draws);
      return valueAndGradients(run, { weight: weight() }).gradients.weight!.dataSync();
    });
  expectClose(gradient(3), gradient(1), { relative: 1e-5 });
});

describe("soft labels", () => {
  const smoothed = () => tf.tensor2d([0.05, 0.9, 0.05, 0.05, 0.05, 0.9], [2, 3]);

  it("MACER's first term is their cross entropy, smallest where the prediction is the label", () => {
    const { loss } = macer({ copies: 2, lambda: 0, beta: 4, margin: 8 });
    const lossAt = (p: number) =>
      tf.tidy(() => {
        const logits = tf.tensor2d(
          new Array(4).fill([Math.log(p), Math.log(1 - p)]).flat(),
          [4, 2],
        );
        const batch = { images: images(), targets: tf.tensor2d([0.95, 0.05, 0.95, 0.05], [2, 2]) };
        const draws = { noise: noise(2), sigma: 0.25 };
        return loss(() => ({ logits }), {}, batch, draws).loss.dataSync()[0]!;
      });
    const shares = [0.9, 0.95, 0.99, 0.9999];
    const expected = shares.map((p) => -0.95 * Math.log(p) - 0.05 * Math.log(1 - p));
    expect(Math.min(...expected)).toBe(expected[1]);
    expectClose(shares.map(lossAt), expected, { relative: 1e-4 });
    expect(lossAt(1)).toBeCloseTo(-0.05 * Math.log(1e-10), 5);
  });

  it.each(["pgd", "ddn"] as const)("%s of two equal copies is that of one", (attack) => {
    const settings = { steps: 3, epsilon: 0.5, warmupEpochs: 1, attack };
    const lossWith = (count: number) =>
      tf.tidy(() => {
        const one = tf.tensor4d(numbers(3, 8, -2, 2), [2, 2, 2, 1]);
        const draws = { noise: tf.tile(one, [count, 1, 1, 1]), sigma: 0.25 };
        const targets = tf.tensor2d([0.5, 0.4, 0.1, 0.1, 0.2, 0.7], [2, 3]);
        const batch = { images: images(), targets };
        const { loss } = smoothAdv({ ...settings, copies: count });
        return loss(apply, { weight: weight() }, batch, draws).loss.dataSync()[0]!;
      });
    expectClose([lossWith(2)], [lossWith(1)], { relative: 1e-6 });
  });

  it("CAT-RS is as confident as with hard labels", () => {
    const method = catRs({ copies, steps, epsilon, lambda, confidence: "soft labels" });
    const adversarial = (labels: tf.Tensor) => {
      const batch = { images: images(), targets: labels, softLabels: targets() }; // certain: w = 1
      const draws = { noise: noise(copies), sigma: 0.25, uniform: tf.tensor1d([0, 0]) };
      return method.loss(apply, { weight: weight() }, batch, draws).metrics.adversarial!.dataSync();
    };
    tf.tidy(() => {
      expect(adversarial(targets())[0]).toBeGreaterThan(0.1);
      expectClose(adversarial(smoothed()), adversarial(targets()));
    });
  });
});

it("settings that are missing or of another type are told", () => {
  expect(() => macer(undefined as never)).toThrow(
    "macer: settings must be an object, got undefined",
  );
  expect(() => createMethod(null as never)).toThrow("createMethod: settings must be an object");
  expect(() => stability({ lambda: "2" } as never)).toThrow(
    'stability: lambda must be 0 or more and finite, got "2"',
  );
});

it("createMethod makes a method from its settings, so a recipe can be JSON", () => {
  for (const method of Object.values(all)) {
    const again = createMethod(JSON.parse(JSON.stringify(method.settings)));
    expect(again.settings).toEqual(method.settings);
    expectClose([lossOf(again)], [lossOf(method)]);
  }
  expect(() => createMethod({ name: "trades" } as never)).toThrow(
    /createMethod: name must be one of gaussian, stability, smoothAdv.*got "trades"/,
  );
});

it("schedules follow the official epochs", () => {
  const at = (name: string, epoch: number) => all[name]!.schedule(epoch);
  expect([0, 2, 3, 9].map((e) => at("smoothAdv", e).radius)).toEqual([0.125, 0.375, 0.5, 0.5]);
  expect([0, 30, 31].map((e) => at("macer", e).lambda)).toEqual([0, 0, 2]);
  expect([0, 49, 50].map((e) => at("catRs", e).radius)).toEqual([0.5, 0.5, 1]);
  expect([0, 7].map((e) => at("smoothMix", e))).toEqual([
    { cleanNorm: 0.125, mixWeight: 0.75 },
    { cleanNorm: 0.5, mixWeight: 3 },
  ]);
});

describe("binomial", () => {
  it("counts the values of the distribution function that the draw reaches: Binomial(3, 1/2)", () => {
    const draws = [0, 0.124, 0.126, 0.499, 0.501, 0.874, 0.876, 0.999];
    const expected = [0, 0, 1, 1, 2, 2, 3, 3];
    tf.tidy(() => {
      const result = binomial(tf.tensor1d(draws), 3, tf.fill([draws.length], 0.5));
      expectClose(result.dataSync(), expected);
    });
  });

  it("is exact at 0 and 1", () => {
    tf.tidy(() => {
      const uniform = tf.tensor1d([0, 0.9999999, 0, 0.9999999]);
      expectClose(binomial(uniform, 4, tf.tensor1d([0, 0, 1, 1])).dataSync(), [0, 0, 4, 4]);
    });
  });

  it("has the right mean: 4 x 0.3", () => {
    tf.tidy(() => {
      const draws = tf.tensor1d(uniform(key(9), 20_000));
      const mean = tf.mean(binomial(draws, 4, tf.fill([20_000], 0.3))).dataSync();
      expectClose(mean, [1.2], { absolute: 0.03 }); // 4.6 standard errors
    });
  });
});

describe("inverseNormal", () => {
  // scipy 1.17.1: scipy.stats.norm.ppf
  const known: [number, number][] = [
    [1e-6, -4.753424308822899],
    [0.001, -3.090232306167813],
    [0.25, -0.6744897501960817],
    [0.5, 0],
    [0.9, 1.2815515655446004],
    [0.999, 3.090232306167813],
  ];

  it("agrees with scipy; the slope is 1 / density", () => {
    tf.tidy(() => {
      const p = tf.tensor1d(known.map(([x]) => x));
      const { value, finite } = inverseNormal(p);
      expectClose(finite.dataSync(), [1, 1, 1, 1, 1, 1]);
      const expected = known.map(([, y]) => y);
      expectClose(value.dataSync().subarray(1), expected.slice(1), {
        absolute: 1e-6,
        relative: 2e-5,
      });
      expectClose(value.dataSync().subarray(0, 1), expected.slice(0, 1), { relative: 5e-3 }); // 2p - 1 has 5 digits
      const slope = tf
        .grad((x: tf.Tensor) => tf.sum(inverseNormal(x).value))(p)
        .dataSync();
      const density = expected.map((y) => Math.exp((y * y) / 2) * Math.sqrt(2 * Math.PI));
      expectClose(slope.subarray(1), density.slice(1), { relative: 1e-4 });
    });
  });

  it("says where there is no finite value, and has a finite slope there", () => {
    tf.tidy(() => {
      const p = tf.tensor1d([0, 1, 1e-9, 0.3]);
      const { value, finite } = inverseNormal(p);
      expectClose(finite.dataSync(), [0, 0, 0, 1]);
      expectClose(value.dataSync().subarray(0, 3), [0, 0, 0]);
      const slope = tf
        .grad((x: tf.Tensor) => tf.sum(inverseNormal(x).value))(p)
        .dataSync();
      expect([...slope].every(Number.isFinite)).toBe(true);
    });
  });
});

it.each([
  [() => gaussian({ copies: 0 }), /gaussian: copies must be a positive integer, got 0/],
  [() => stability({ lambda: -1 }), /stability: lambda must be 0 or more and finite, got -1/],
  [
    () => smoothAdv({ copies, steps, epsilon, warmupEpochs: 0 }),
    /smoothAdv: warmupEpochs must be positive and finite, got 0/,
  ],
  [
    () => smoothAdv({ copies, steps, epsilon, warmupEpochs, attack: "fgsm" as "pgd" }),
    /attack must be one of pgd, ddn, gradient-free, got "fgsm"/,
  ],
  [
    () => smoothAdv({ copies: 1, steps, epsilon, warmupEpochs, attack: "gradient-free" }),
    /"gradient-free" needs 2 copies or more, got 1/,
  ],
  [
    () => smoothAdv({ copies, steps, epsilon, warmupEpochs, stepz: 3 } as never),
    /smoothAdv: unknown setting "stepz"; did you mean "steps"\?/,
  ],
  [
    () => macer({ copies, lambda, beta: Number.NaN, margin: 8 }),
    /macer: beta must be positive and finite, got NaN/,
  ],
  [() => consistency({ copies: 1, lambda }), /copies must be an integer, 2 or more, got 1/],
  [
    () => consistency({ copies, lambda, attack: { epsilon, steps: 0.5, warmupEpochs } }),
    /consistency: attack: steps must be a positive integer, got 0.5/,
  ],
  [
    () => consistency({ copies, lambda, mode: "l1" as "mse" }),
    /consistency: mode must be "default", "xent", "kl" or "mse", got l1/,
  ],
  [() => gaussian({ copies: 1e300 }), /copies must be a positive integer/],
  [() => smoothMix({ ...mix, maxNorm: -1 }), /maxNorm must be 0 or more and finite, got -1/],
  [
    () => catRs({ copies, steps, epsilon, lambda, confidence: "pb" as "votes" }),
    /confidence must be "votes" or "soft labels", got "pb"/,
  ],
])("%#: a bad setting is named", (make, message) => {
  expect(make).toThrow(message);
});

it("CAT-RS and SmoothMix ask for what they need", () => {
  tf.tidy(() => {
    const batch = { images: images(), targets: targets() };
    const draws = { noise: noise(2), sigma: 0.25 };
    const params = { weight: weight() };
    expect(() => all.catRs!.loss(apply, params, batch, draws)).toThrow(
      "catRs: batch.softLabels must be a tensor [2, 3], a row for each image, got undefined",
    );
    expect(() => all.smoothMix!.loss(apply, params, batch, draws)).toThrow(
      "smoothMix: draws.uniform must be a tensor [2] in [0, 1), got undefined",
    );
  });
});

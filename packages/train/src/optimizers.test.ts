import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import type { HostTensors } from "@dmae/core";
import { disposeTensors, selectBackend, type Tensors, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { adamw } from "./adamw.ts";
import { clipByGlobalNorm } from "./clip.ts";
import { decayGroups, layerDecayGroups } from "./groups.ts";
import { lars } from "./lars.ts";
import { scalarTensors } from "./names.ts";
import type { Optimizer } from "./optimizer.ts";
import { sgd } from "./sgd.ts";

// Recorded from torch.optim and util/lars.py by testing/reference/training.py; see the metadata.
const fixture = readFixture(new URL("./__fixtures__/optimizers.safetensors", import.meta.url));
const rates: number[] = JSON.parse(fixture.metadata.rates!);
const names = ["weight", "bias", "zero"];

const host = (prefix: string): HostTensors =>
  Object.fromEntries(
    names.map((name) => {
      const { shape, data } = fixture.get(`${prefix}.${name}`);
      return [name, { dtype: "float32", shape, data: data as Float32Array }];
    }),
  );

const hostOf = (tensors: Readonly<Tensors>): HostTensors =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      { dtype: "float32", shape: tensor.shape, data: tensor.dataSync().slice() as Float32Array },
    ]),
  );

function update(
  optimizer: Optimizer,
  params: HostTensors,
  state: HostTensors,
  gradients: HostTensors,
  scalars: Record<string, number>,
): { params: HostTensors; state: HostTensors } {
  tf.engine().startScope();
  const result = optimizer.update(
    toTensors(gradients),
    toTensors(state),
    toTensors(params),
    toTensors(scalarTensors(scalars)),
  );
  const made = { params: hostOf(result.params), state: hostOf(result.state) };
  tf.engine().endScope();
  return made;
}

const optimizers: Record<string, Optimizer> = {
  adamw: adamw({ beta2: 0.95, weightDecay: 0.05 }),
  sgd: sgd({ momentum: 0.9, weightDecay: 0.05 }),
  nesterov: sgd({ momentum: 0.9, nesterov: true }),
  lars: lars({ weightDecay: 0.05, trustCoefficient: 0.01 }),
};

describe.each(["cpu", "wasm"])("optimizers on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  describe.each(Object.keys(optimizers))("%s", (name) => {
    const optimizer = optimizers[name]!;

    it("follows the official one over four updates, the first with learning rate 0", () => {
      let params = host("start");
      let state = optimizer.init(params);
      rates.forEach((rate, i) => {
        const made = update(optimizer, params, state, host(`grad${i}`), optimizer.scalars(i, rate));
        ({ params, state } = made);
        for (const key of names)
          expectClose(params[key]!.data, fixture.get(`${name}.after${i}.${key}`).data, {
            absolute: 1e-6,
            relative: 1e-6,
          });
      });
    });

    it("changes no bit under idle scalars", () => {
      const first = update(
        optimizer,
        host("start"),
        optimizer.init(host("start")),
        host("grad0"),
        optimizer.scalars(0, 0.1),
      );
      const second = update(optimizer, first.params, first.state, host("grad1"), optimizer.idle());
      for (const part of ["params", "state"] as const)
        for (const key of Object.keys(first[part]))
          expectClose(second[part][key]!.data, first[part][key]!.data);
    });

    it("hands on parameters without a gradient and keeps no tensor", async () => {
      const params = toTensors(host("start"));
      const gradients = toTensors({ weight: host("grad0").weight! });
      const slots = toTensors(optimizer.init({ weight: host("start").weight! }));
      const scalars = toTensors(scalarTensors(optimizer.scalars(0, 0.1)));
      await expectNoLeak(() => {
        const { params: next, state } = tf.tidy(() =>
          optimizer.update(gradients, slots, params, scalars),
        );
        expect(next.bias).toBe(params.bias);
        expect(Object.keys(state)).toEqual(Object.keys(slots));
        next.weight!.dispose();
        disposeTensors(state);
      });
      for (const tensors of [params, gradients, slots, scalars]) disposeTensors(tensors);
    });
  });

  it("scales learning rate and weight decay by group", () => {
    // scale 0.5 halves the learning rate, and with it the decay: p (1 - lr/2 wd) - lr/2 * sign at the first step
    const groups = { bias: { learningRateScale: 0.5, weightDecay: 0.2 } };
    const optimizer = adamw({ groups, epsilon: 0 });
    const params = { bias: host("start").bias! };
    const gradients = { bias: host("grad0").bias! };
    const made = update(
      optimizer,
      params,
      optimizer.init(params),
      gradients,
      optimizer.scalars(0, 0.1),
    );
    const expected = Array.from(
      params.bias.data,
      (p, i) => p * (1 - 0.05 * 0.2) - 0.05 * Math.sign(gradients.bias.data[i]!),
    );
    expectClose(made.params.bias!.data, expected, { absolute: 1e-6 });
  });

  it("adds epsilon to the corrected root", () => {
    // first step: the corrected moments are g and g^2, so p - lr g / (|g| + epsilon)
    const optimizer = adamw({ epsilon: 0.5, weightDecay: 0 });
    const params = { bias: host("start").bias! };
    const gradients = { bias: host("grad0").bias! };
    const scalars = optimizer.scalars(0, 0.1);
    const made = update(optimizer, params, optimizer.init(params), gradients, scalars);
    const expected = Array.from(params.bias.data, (p, i) => {
      const g = gradients.bias.data[i]!;
      return p - (0.1 * g) / (Math.abs(g) + 0.5);
    });
    expectClose(made.params.bias!.data, expected, { absolute: 1e-6 });
  });

  it("clips as clip_grad_norm_", () => {
    tf.tidy(() => {
      const { gradients, norm } = clipByGlobalNorm(toTensors(host("grad0")), 1.5);
      expectClose(norm.dataSync(), fixture.get("clip.norm").data, { relative: 1e-6 });
      for (const key of names)
        expectClose((gradients as Tensors)[key]!.dataSync(), fixture.get(`clip.${key}`).data, {
          absolute: 1e-6,
        });
      const loose = clipByGlobalNorm(toTensors(host("grad0")), 1e6).gradients;
      expectClose(loose.weight!.dataSync(), host("grad0").weight!.data); // never scaled up
    });
  });
});

describe("errors", () => {
  it("name the option and the value", () => {
    expect(() => adamw({ beta1: 1 })).toThrow("adamw: beta1 must lie in [0, 1), got 1");
    expect(() => sgd({ momentum: -0.1 })).toThrow("sgd: momentum must lie in [0, 1), got -0.1");
    expect(() => lars({ momentum: Number.NaN })).toThrow("got NaN");
  });

  it("name a weight decay or a scale that is no number, wherever it is given", () => {
    const params = { w: host("start").weight! };
    for (const weightDecay of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      for (const [name, make] of Object.entries({ adamw, sgd, lars })) {
        expect(() => make({ weightDecay })).toThrow(
          `${name}: weightDecay must lie in [0, Infinity), got ${weightDecay}`,
        );
        const groups = { w: { learningRateScale: 1, weightDecay } };
        expect(() => make({ groups })).toThrow(`${name}: weightDecay of w must lie in`);
      }
      expect(() => decayGroups(params, { weightDecay })).toThrow(
        `decayGroups: weightDecay must lie in [0, Infinity), got ${weightDecay}`,
      );
      const layers = { weightDecay, layerDecay: 0.5, depth: 1, layerId: () => 0 };
      expect(() => layerDecayGroups(params, layers)).toThrow(
        `layerDecayGroups: weightDecay must lie in [0, Infinity), got ${weightDecay}`,
      );
    }
    const layers = { weightDecay: 0, layerDecay: 0.5, depth: 1, layerId: () => Number.NaN };
    expect(() => layerDecayGroups(params, layers)).toThrow(
      "layerDecayGroups: learningRateScale of w must be a finite number, got NaN",
    );
    expect(() => clipByGlobalNorm({}, Number.NaN)).toThrow("maxNorm must be positive, got NaN");
  });

  it("name the parameter that no group has", () => {
    const optimizer = adamw({ groups: { weight: { learningRateScale: 1, weightDecay: 0 } } });
    const params = { bias: host("start").bias! };
    expect(() =>
      update(optimizer, params, optimizer.init(params), params, optimizer.scalars(0, 0.1)),
    ).toThrow("got none for bias");
  });
});

import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { foldIn, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { selectBackend, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { readFixture } from "../../../testing/fixtures.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { drawDropPath, dropPathRates } from "./drop-path.ts";
import {
  cutmixBox,
  drawMixing,
  type Mixing,
  mixImages,
  mixingInputs,
  softTargets,
} from "./mixing.ts";

// Recorded from timm's Mixup by testing/reference/training.py; see the metadata.
const fixture = readFixture(new URL("./__fixtures__/mixing.safetensors", import.meta.url));
const cases: {
  kind: "mixup" | "cutmix";
  lambda: number;
  centre: [number, number] | null;
  smoothing: number;
  used: number;
}[] = JSON.parse(fixture.metadata.cases!);

const mixingOf = ({ kind, lambda, centre }: (typeof cases)[number]): Mixing =>
  kind === "mixup" ? { kind, lambda } : cutmixBox(lambda, 12, ...centre!);

describe.each(["cpu", "wasm"])("mixing on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  it.each(cases.map((entry, i) => [i, entry.kind, entry.lambda] as const))(
    "is timm's: case %i, %s %d",
    async (i) => {
      const mixing = mixingOf(cases[i]!);
      expectClose([mixing.kind === "none" ? 1 : mixing.lambda], [cases[i]!.used], {
        relative: 1e-15,
      });
      const { shape, data } = fixture.get("x");
      const x = tf.tensor(data as Float32Array, shape);
      await expectNoLeak(() => {
        const { mixRows, mixColumns, mixAmount } = toTensors(mixingInputs(mixing, 12));
        const mixed = mixImages(x, mixRows!, mixColumns!, mixAmount!);
        expectClose(mixed.dataSync(), fixture.get(`${i}.mixed`).data, { absolute: 1e-6 });
        tf.dispose([mixRows!, mixColumns!, mixAmount!, mixed]);
      });
      x.dispose();
      const targets = softTargets(fixture.get("target").data, 5, cases[i]!.smoothing, mixing);
      expectClose(targets.data, fixture.get(`${i}.targets`).data, { absolute: 1e-6 });
    },
  );
});

describe("drawMixing", () => {
  const options = {
    mixup: 0.8,
    cutmix: 1,
    mixProbability: 0.9,
    switchProbability: 0.25,
    imageSize: 32,
  };
  const draws = Array.from({ length: 4000 }, (_, i) =>
    drawMixing(generator(foldIn(key("mixing"), i)), options),
  );
  const share = (kind: Mixing["kind"]) =>
    draws.filter((d) => d.kind === kind).length / draws.length;

  it("chooses with the given probabilities", () => {
    // four standard deviations of a share of 4000: below 0.028
    expectClose([share("none"), share("cutmix"), share("mixup")], [0.1, 0.225, 0.675], {
      absolute: 0.03,
    });
  });

  it("draws mixup's lambda from Beta(0.8, 0.8): mean 1/2, variance 1/(4 (2 a + 1))", () => {
    const lambdas = draws.flatMap((d) => (d.kind === "mixup" ? [d.lambda] : []));
    const mean = lambdas.reduce((sum, l) => sum + l, 0) / lambdas.length;
    const variance = lambdas.reduce((sum, l) => sum + (l - mean) ** 2, 0) / lambdas.length;
    expectClose([mean, variance], [0.5, 1 / (4 * 2.6)], { absolute: 0.025 });
  });

  it("keeps boxes inside the image and states the share that is left", () => {
    for (const d of draws) {
      if (d.kind !== "cutmix") continue;
      expect(d.top >= 0 && d.left >= 0 && d.bottom <= 32 && d.right <= 32).toBe(true);
      expect(d.lambda).toBe(1 - ((d.bottom - d.top) * (d.right - d.left)) / 1024);
    }
  });

  it("depends on the key alone, and does nothing without mixup and cutmix", () => {
    const again = drawMixing(generator(foldIn(key("mixing"), 7)), options);
    expect(again).toEqual(draws[7]);
    expect(drawMixing(() => 0, { ...options, mixup: 0, cutmix: 0 })).toEqual({ kind: "none" });
  });
});

describe("softTargets", () => {
  it("smooths: 1 - s + s / K on the label, s / K elsewhere", () => {
    expectClose(softTargets([1], 4, 0.2).data, [0.05, 0.85, 0.05, 0.05], { absolute: 1e-7 });
    expect(() => softTargets([4], 4, 0)).toThrow("softTargets: labels must lie in [0, 4), got 4");
  });
});

describe("stochastic depth", () => {
  it("has timm's rates", () => {
    expectClose(
      dropPathRates(0.1, 12),
      Array.from({ length: 12 }, (_, i) => (0.1 * i) / 11),
    );
    expect(dropPathRates(0.3, 1)).toEqual([0]);
  });

  it("drops with its rate and keeps the mean", () => {
    const rows = Array.from({ length: 4000 }, (_, index) => ({ key: key("drop"), index }));
    const { shape, data } = drawDropPath([0, 0.5], rows);
    expect(shape).toEqual([2, 2, 4000]);
    const branch = (i: number) => (data as Float32Array).subarray(i * 4000, (i + 1) * 4000);
    for (const i of [0, 1]) expect(branch(i).every((scale) => scale === 1)).toBe(true);
    for (const i of [2, 3]) {
      expect(new Set(branch(i))).toEqual(new Set([0, 2]));
      const mean = branch(i).reduce((sum, scale) => sum + scale, 0) / 4000;
      expectClose([mean], [1], { absolute: 0.07 }); // four standard deviations
    }
    expect(branch(2)).not.toEqual(branch(3));
    const alone = drawDropPath([0, 0.5], [rows[17]!]);
    expect(Array.from(alone.data)).toEqual([0, 1, 2, 3].map((i) => branch(i)[17]!));
  });
});

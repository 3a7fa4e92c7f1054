import { expect, it } from "vitest";
import { readFixture } from "../../../../testing/fixtures.ts";
import { ensemble } from "./combine.ts";

// Recorded runs of eth-sri/smoothing-ensembles (the fixture says which): five small networks, 25 noisy copies of an image.
const fixture = readFixture(new URL("../__fixtures__/ensemble.safetensors", import.meta.url));
const data = (name: string) => fixture.get(name).data;
const { sigma, draws } = JSON.parse(fixture.metadata.e2e!) as { sigma: number; draws: number[][] };

/** 3x3 convolution with stride 2 of an 8x8 image to 6 channels of 3x3, ReLU, a linear layer to 5 classes: in float64. */
function tiny(model: number) {
  const [kernel, bias, weight, offset] = ["conv.weight", "conv.bias", "fc.weight", "fc.bias"].map(
    (name) => data(`e2e.model${model}.${name}`),
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const feature = (image: ArrayLike<number>, at: number) => {
    const [channel, y, x] = [Math.floor(at / 9), Math.floor((at % 9) / 3), at % 3];
    let sum = bias[channel]!;
    for (let k = 0; k < 9; k++)
      sum += kernel[9 * channel + k]! * image[8 * (2 * y + Math.floor(k / 3)) + 2 * x + (k % 3)]!;
    return Math.max(0, sum);
  };
  return (batch: Float32Array, [rows = 0]: number[]) =>
    Float64Array.from({ length: 5 * rows }, (_, i) => {
      const [row, c] = [Math.floor(i / 5), i % 5];
      const image = batch.subarray(64 * row, 64 * (row + 1));
      let sum = offset[c]!;
      for (let at = 0; at < 54; at++) sum += weight[54 * c + at]! * feature(image, at);
      return sum;
    });
}

/** Votes of all recorded noisy copies. */
async function countsOf(classifier: ReturnType<typeof ensemble>): Promise<number[]> {
  const counts = [0, 0, 0, 0, 0];
  const image = data("e2e.x");
  for (const [i, shape] of draws.entries()) {
    const batch = Float32Array.from(
      data(`e2e.draw${i}`),
      (normal, at) => image[at % 64]! + Math.fround(sigma * normal),
    );
    const logits = (await classifier.predict(batch, shape)) as Float64Array;
    for (let row = 0; row < shape[0]!; row++) {
      const scores = [...logits.subarray(5 * row, 5 * (row + 1))];
      counts[scores.indexOf(Math.max(...scores))]!++;
    }
  }
  return counts;
}

const recorded = (name: string, row = 0) =>
  [...data(name).slice(5 * row, 5 * (row + 1))].map(Number);
const members = [0, 1, 2, 3, 4].map(tiny);

it.each([1, 2, 3, 4, 5])("counts of the first %d models' summed logits", async (count) => {
  const expected = recorded("e2e.counts", 2 * count - 1);
  expect(await countsOf(ensemble(members.slice(0, count)))).toEqual(expected);
});

it("counts where the rest is asked only if the first two models disagree", async () => {
  let asked = 0;
  const counted = members.map((member, i) => (batch: Float32Array, shape: number[]) => {
    if (i === 2) asked += shape[0]!;
    return member(batch, shape);
  });
  const counts = await countsOf(ensemble(counted, "logits", { consensus: 2 }));
  expect(counts).toEqual(recorded("e2e.kconsensus2.counts"));
  expect(counts).not.toEqual(recorded("e2e.counts", 9));
  expect(asked).toBe(22); // the first two agree on 3 of 25
});

it("predictions of five models' recorded logits, and where a consensus ends early", async () => {
  const logits = data("logits"); // [5, 12, 5]
  const of = (model: number) => (batch: Float32Array) =>
    Float64Array.from({ length: 5 * batch.length }, (_, i) =>
      Number(logits[60 * model + 5 * batch[Math.floor(i / 5)]! + (i % 5)]),
    );
  const rows = Float32Array.from({ length: 12 }, (_, i) => i);
  const classesOf = (scores: Float64Array) =>
    Array.from({ length: 12 }, (_, row) => {
      const own = [...scores.subarray(5 * row, 5 * (row + 1))];
      return own.indexOf(Math.max(...own));
    });
  const all = [0, 1, 2, 3, 4].map(of);
  const full = classesOf((await ensemble(all).predict(rows, [12, 1])) as Float64Array);
  expect(full).toEqual([...data("scheme0.pred").slice(9 * 12)].map(Number));
  for (const consensus of [1, 2, 3, 4]) {
    const whole = ensemble(all, "logits", { consensus });
    const got = classesOf((await whole.predict(rows, [12, 1])) as Float64Array);
    const stopped = [...data(`kconsensus${consensus}.should_stop`)].map(Number);
    expect(got).toEqual(stopped.map((early, row) => (early >= 0 ? early : full[row])));
  }
});

import { expect, it } from "vitest";
import { readLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { compare } from "./compare.ts";

const published = { sigma: 0.5, alpha: 0.001, n: 100_000 };
const log = (method: string) =>
  readLog(
    new URL(`../__fixtures__/published/noise_0.5/${method}/noise_0.5.tsv.gz`, import.meta.url),
  );

it("brings published logs to the same images and a common n", async () => {
  const [cohen, cat] = [await log("cohen"), await log("cat-rs")];
  const tenth = cohen.filter(({ idx }) => idx % 10 === 0);
  const radii = [0, 0.5, 1];
  const compared = (n?: number) => compare(tenth, cat, { published, radii, ...(n && { n }) });
  expect(compared()).toMatchObject({ images: 1000, n: 100_000 });
  // scipy 1.17: votes of the nearest radius (beta.ppf, norm.ppf), hypergeom, t.ppf; per n and log the ACR
  // and the accuracies, then the 95 % intervals of their differences
  for (const [n, a, b, low, high] of [
    [
      100_000,
      [1.1090328263558022, 0.88, 0.772, 0.573],
      [1.3307142579621323, 0.838, 0.793, 0.718],
      [0.1987344637309873, -0.05899548, 0.00255041, 0.12223581],
      [0.2446283994816673, -0.02483685, 0.03936576, 0.16718535],
    ],
    [
      10_000,
      [1.0026170672877561, 0.877750035541924, 0.7659659715074345, 0.5647822600849777],
      [1.1585300939823633, 0.8376951760857677, 0.7919048226580202, 0.7133796774405754],
      [0.13641918059734892, -0.05703957, 0.00753472, 0.12581767],
      [0.1754068727918644, -0.02291025, 0.04423943, 0.17078396],
    ],
    [
      1000,
      [0.827228757874672, 0.8736628583406477, 0.7479738770966217, 0.5184711773128713],
      [0.9219580186357365, 0.8357768225592063, 0.7862960752416741, 0.6774536400300021],
      [0.07944503897409537, -0.0547568, 0.0199209, 0.13681651],
      [0.11001348254802605, -0.02086403, 0.05657051, 0.18051376],
    ],
  ] as const) {
    const { averageRadius, accuracy } = compared(n);
    for (const [i, found] of [averageRadius, ...accuracy].entries()) {
      expect(found.a).toBeCloseTo(a[i]!, 8);
      expect(found.b).toBeCloseTo(b[i]!, 8);
      expect(found.difference).toBeCloseTo(b[i]! - a[i]!, 8);
      expect(found.low).toBeCloseTo(low[i]!, 7);
      expect(found.high).toBeCloseTo(high[i]!, 7);
    }
  }
});

it("counts on an image on which a log abstains that fewer of its votes might certify it", () => {
  const settings = {
    ...{ procedure: "certify", sigma: 0.5, alpha: 0.001, n0: 10 },
    ...{ generator: "g", seed: "1", dataset: "d", model: "m" },
  };
  const rowOf = (votes: number, n: number, label = 1): LogRow => ({
    ...{ idx: 0, label, predict: -1, correct: 0, radius: 0, time: 0, pLower: 0.5, samples: n },
    ...{ counts0: [0, 10], counts: [n - votes, votes], settings: { ...settings, n } },
  });
  const [many, few] = [[rowOf(50_400, 100_000)], [rowOf(50, 100)]];
  const { accuracy } = compare(many, few, { radii: [0] });
  expect(accuracy[0]!.a).toBeCloseTo(0.0011633470494794, 12); // mpmath 1.4.1: 66 votes of 100 or more
  const other = compare([rowOf(50_400, 100_000, 0)], [rowOf(50, 100, 0)], { radii: [0] });
  expect(other.accuracy[0]!.a).toBe(0); // class 1 was guessed: the label is never certified
});

it("finds no difference between a log and itself, and no interval on one image", async () => {
  const cat = await log("cat-rs");
  const { averageRadius, accuracy } = compare(cat, cat, { published, radii: [0] });
  const unknown = { low: Number.NaN, high: Number.NaN };
  expect(averageRadius).toMatchObject({ difference: 0, low: 0, high: 0 });
  const unset = { radii: undefined, n: undefined };
  expect(compare(cat, cat, { published, ...unset })).toEqual(compare(cat, cat, { published }));
  expect(accuracy[0]!.low).toBeLessThan(0);
  expect(compare(cat.slice(0, 1), cat, { published }).averageRadius).toMatchObject(unknown);
});

it.each([
  ["0.25/cohen/noise_0.25", 0.25, 0.6072840103375958],
  ["1.0/cat-rs/noise_1.0", 1, 1.595281729977874],
])("brings %s to n = 10,000 as scipy does", async (name, sigma, radius) => {
  const file = new URL(`../__fixtures__/published/noise_${name}.tsv.gz`, import.meta.url);
  const rows = (await readLog(file)).filter(({ idx }) => idx % 10 === 0);
  const found = compare(rows, rows, { n: 10_000, published: { ...published, sigma } });
  expect(found.averageRadius.a).toBeCloseTo(radius, 8);
});

it("takes the exact expectation of thinned votes", () => {
  const settings = { procedure: "certify", sigma: 1, alpha: 0.3, n: 4, n0: 1 } as never;
  const row: LogRow = {
    idx: 0,
    label: 1,
    predict: 1,
    radius: 0.1,
    correct: 1,
    time: 0,
    counts: [1, 3],
    settings,
  };
  // two of four votes: both for the class with probability 1/2, and then 0.3^(1/2) > 1/2 certifies
  const { accuracy } = compare([row], [row], { n: 2, radii: [0] });
  expect(accuracy[0]!.a).toBeCloseTo(0.5, 12);
  expect(() => compare([row], [{ ...row, idx: 1 }])).toThrow(
    "compare: the logs must have common images",
  );
  const { settings: _, ...bare } = row;
  expect(() => compare([row], [bare])).toThrow(
    "compare: image 0 does not say its sigma, alpha and n; give them in the option published",
  );
  expect(() => compare([row], [row], { n: 5 })).toThrow(
    "n must be at most the 4 votes of a row, got 5",
  );
});

/** A log of one image with 95 of 100 votes. */
const voted = (more: Record<string, unknown> = {}, idx = 0): LogRow => ({
  ...{ idx, label: 1, predict: 1, radius: 0.6, correct: 1, time: 0, counts: [5, 95] },
  settings: { procedure: "certify", sigma: 1, alpha: 0.01, n: 100, n0: 1, ...more } as never,
});

it("refuses an image that a log has twice, in either log", () => {
  const twice = [voted(), voted({}, 1), voted(), voted({}, 1)];
  const once = [voted(), voted({}, 1)];
  const problem = (name: string) =>
    `compare: image 0 is twice in ${name}, but the interval is one over images, each there once; compare one run with one run`;
  expect(() => compare(twice, once)).toThrow(problem("a"));
  expect(() => compare(once, twice)).toThrow(problem("b"));
  expect(compare(once.toReversed(), once).images).toBe(2);
});

it.each([
  ["range", { range: "0,255" }, {}, "0,255 and 0,1"],
  ["shape", { shape: "28x28x1" }, { shape: "14x14x1" }, "28x28x1 and 14x14x1"],
  ["data", { data: "ab" }, { data: "cd" }, "ab and cd"],
  ["dataset", { dataset: "train" }, { dataset: "test" }, "train and test"],
  ["dataset", { dataset: "train", data: "ab" }, { dataset: "test" }, "train and test"],
])("refuses logs of another %s", (name, a, b, values) => {
  const problem = `compare: both logs must have the same ${name}, got ${values}: `;
  expect(() => compare([voted(a)], [voted(b)])).toThrow(problem);
});

it("compares logs that do not say these facts, and one data set of two names", () => {
  const facts = { range: "0,1", shape: "28x28x1", data: "ab", dataset: "a" };
  const { settings: _, counts: __, ...bare } = voted();
  const numbers = { sigma: 1, alpha: 0.01, n: 100 };
  expect(compare([bare], [voted(facts)], { published: numbers }).images).toBe(1);
  expect(compare([voted({ dataset: "" })], [voted(facts)]).images).toBe(1);
  expect(compare([voted({ ...facts, dataset: "b" })], [voted(facts)]).images).toBe(1);
});

it.each([
  [{ procedure: "adaptive" }, "certify, image 0 is of adaptive"],
  [{ topK: 2 }, "the most probable class, image 0 is of the top 2; compare the logs of the runs"],
  [
    { bound: "two-class" },
    "the one-class bound, image 0 is of the two-class bound; recertify the log with the other",
  ],
  [{ distribution: "laplace" }, "Gaussian noise, image 0 is of laplace noise"],
  [{ totalVariation: 1e-9 }, "ordinary Gaussian noise, image 0 is of sound noise"],
  [{ norm: "l1" }, "l2 radii, image 0 is of l1 radii; recertify the log in l2"],
])("refuses rows of %j, also where both logs have them", (more, problem) => {
  expect(() => compare([voted(more)], [voted(more)])).toThrow(
    `compare: rows must be of ${problem}`,
  );
});

it("says which sigma and alpha differ", () => {
  expect(() => compare([voted()], [voted({ alpha: 0.001 })])).toThrow(
    "all rows must have the same sigma and alpha, got sigma 1, alpha 0.01 and sigma 1, alpha 0.001;",
  );
});

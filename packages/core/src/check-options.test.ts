import { expect, test } from "vitest";
import { checkOptions, type OptionNames } from "./check-options.ts";
import { nearestNames } from "./nearest-names.ts";
import type { OptionKind } from "./option-kinds.ts";

interface Options {
  readonly sigma: number;
  readonly alpha?: number;
  readonly batchSize?: number | "auto";
  readonly shard?: { readonly index: number; readonly count: number };
}

const names = {
  sigma: true,
  alpha: true,
  batchSize: true,
  shard: { index: true, count: true },
} satisfies OptionNames<Options>;

const check = (options: unknown) => checkOptions("certify", options, names);

test("known names pass, undefined values too", () => {
  check({});
  check({ sigma: 1, alpha: undefined, shard: undefined });
  check({ shard: { index: 0, count: 8 } });
});

test.each([
  [{ alhpa: 0.1 }, 'certify: unknown option "alhpa"; did you mean "alpha"?'],
  [{ sigma: 1, batch_size: 2 }, 'certify: unknown option "batch_size"; did you mean "batchSize"?'],
  [{ batch: 2 }, 'certify: unknown option "batch"; did you mean "batchSize"?'],
  [{ SIGMA: 1 }, 'certify: unknown option "SIGMA"; did you mean "sigma"?'],
  [{ alhpa: undefined }, 'certify: unknown option "alhpa"; did you mean "alpha"?'],
  [
    { shard: { indx: 0, count: 1 } },
    'certify: unknown option "shard.indx"; did you mean "shard.index"?',
  ],
  [
    { temperature: 1 },
    'certify: unknown option "temperature"; known are sigma, alpha, batchSize, shard',
  ],
  [{ constructor: 1 }, 'certify: unknown option "constructor"'],
  [JSON.parse('{ "__proto__": 1 }'), 'certify: unknown option "__proto__"'],
  [undefined, "certify: options must be an object, got undefined"],
  [null, "certify: options must be an object, got null"],
  [0.25, "certify: options must be an object, got 0.25"],
  [[0.25], "certify: options must be an object, got an array"],
])("%j is refused", (options, message) => {
  expect(() => check(options)).toThrow(expect.objectContaining({ code: "argument" }));
  expect(() => check(options)).toThrow(message);
});

const kinds: { [kind: string]: [unknown[], unknown[], string] } = {
  boolean: [[true, false], ["no", 0, null], "true or false"],
  executor: [
    [{ prepareFunction: () => {}, prepareStep: () => {} }],
    [null, "compiled", {}, { prepareStep: () => {} }],
    "an executor",
  ],
  function: [[() => {}], ["f", {}], "a function"],
  limit: [[1, 0.5, Number.POSITIVE_INFINITY], [0, -1, Number.NaN, "1", null], "a number above 0"],
  list: [[[], [1]], ["1,2", 5, { length: 1 }], "an array"],
  path: [["a.tsv", new URL("file:///a.tsv")], [1, true, {}], "a path or a URL"],
  seed: [[0, 7, 2n ** 63n, "run"], [-1, 0.5, 2 ** 53, -1n, Number.NaN, null, {}], "an integer in"],
  signal: [[new AbortController().signal], ["x", {}, { aborted: true }], "an AbortSignal"],
  text: [["", "a"], [1, ["a"]], "a string"],
};

test.each(Object.entries(kinds))("a value of kind %s", (kind, [good, bad, rule]) => {
  const named = { shard: { value: kind as OptionKind } };
  for (const value of [undefined, ...good]) checkOptions("certify", { shard: { value } }, named);
  for (const value of bad) {
    const act = () => checkOptions("certify", { shard: { value } }, named);
    expect(act).toThrow(`certify: shard.value must be ${rule}`);
    expect(act).toThrow(expect.objectContaining({ code: "argument" }));
  }
});

test("a value out of a list", () => {
  const named = { split: ["train", "test"] };
  for (const split of ["train", "test", undefined]) checkOptions("load", { split }, named);
  for (const split of ["val", null, 0, ["train"]])
    expect(() => checkOptions("load", { split }, named)).toThrow(
      'load: split must be "train" or "test", got',
    );
});

test("the message may have another word, and an empty table", () => {
  expect(() =>
    checkOptions("pretrain", { epoch: 1 } as object, { epochs: true }, "recipe field"),
  ).toThrow('pretrain: unknown recipe field "epoch"; did you mean "epochs"?');
  expect(() => checkOptions("f", { x: 1 } as object, {})).toThrow(
    'f: unknown option "x"; there are none here',
  );
});

test("what should be tensors and is not is named", () => {
  const names = { params: "tensors", labels: "tensor" } as const;
  const check = (options: Partial<Record<keyof typeof names, unknown>>) => () =>
    checkOptions("f", options as Record<keyof typeof names, object>, names);
  const tensor = { dtype: "float32", shape: [1], data: Float32Array.of(1) };
  check({ params: { tensor }, labels: tensor })();
  expect(check({ labels: [1] })).toThrow("f: labels must be a host tensor { dtype, shape, data }");
  expect(check({ params: { tensor: 1 } })).toThrow("f: params must be host tensors");
});

test("TypeScript refuses a table that lacks a name or has another", () => {
  // @ts-expect-error shard is missing
  ({ sigma: true, alpha: true, batchSize: true }) satisfies OptionNames<Options>;
  // @ts-expect-error n is no option
  ({ ...names, n: true }) satisfies OptionNames<Options>;
  // @ts-expect-error count is missing
  ({ ...names, shard: { index: true } }) satisfies OptionNames<Options>;
  const options: Options = { sigma: 1 };
  // @ts-expect-error shard is missing
  checkOptions("certify", options, { sigma: true, alpha: true, batchSize: true });
  // @ts-expect-error n is no option
  checkOptions("certify", options, { ...names, n: true });
});

test("the nearest names: edits count one, swapped neighbours too, letters around a tenth", () => {
  expect(nearestNames("epoch", ["sigma", "training.epochs", "epic"], 2)).toEqual([
    "training.epochs",
    "epic",
  ]);
  expect(nearestNames("alhpa", ["alph", "alpha"])).toEqual(["alpha", "alph"]); // 1 against 2
  expect(nearestNames("x", [])).toEqual([]);
});

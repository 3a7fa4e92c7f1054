import { expect, it } from "vitest";
import { logNames } from "./log-names.ts";

it.each([
  [
    ["certified.tsv", "other/base.tsv.gz"],
    ["certified", "base"],
  ],
  [
    ["A/certified.tsv.gz", "B/certified.tsv.gz"],
    ["A/certified", "B/certified"],
  ],
  [
    ["A/certified.tsv", "B/certified.tsv.gz", "C/base.tsv"],
    ["A/certified", "B/certified", "base"],
  ],
  [
    ["1/A/x.tsv", "2/A/x.tsv", "2/B/x.tsv"],
    ["1/A/x", "2/A/x", "B/x"],
  ],
  [
    ["A/x.tsv", "A/x.tsv"],
    ["x", "x"],
  ],
  [
    ["A/x.tsv", "A/x.tsv.gz"],
    ["A/x.tsv", "A/x.tsv.gz"],
  ],
  [
    ["vit/noise_0.25.tsv", "noise_0.5.tsv"],
    ["vit/noise_0.25", "noise_0.5"],
  ],
])("%j are called %j", (files, names) => {
  expect(logNames(files)).toEqual(names);
});

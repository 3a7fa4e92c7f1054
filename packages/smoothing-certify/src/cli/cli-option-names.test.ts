import { expect, it } from "vitest";
import { withOptionNames } from "./cli-arguments.ts";

it.each([
  ["finish it, or merge with partial: true", "finish it, or merge with --partial"],
  ["or read it with { partial: true }", "or read it with --partial"],
  ["got 4x3; set size: 28 to resize", "got 4x3; set --size 28 to resize"],
  ["set size: [28, 32] to resize", "set --size 28,32 to resize"],
  ['set binary: "logit" if it is one', "set --binary logit if it is one"],
  ["the range, e.g. range: [0, 255]", "the range, e.g. --range 0,255"],
  ["e.g. range: [-1, 1]", "e.g. --range=-1,1"],
  ["each row, say randomized: true", "each row, say --randomized"],
  ["so set scale (now 1) to it", "so set --scale (now 1) to it"],
  ["; set channels or set layout", "; set --channels or set --layout"],
  ["or set batchSize to the rows", "or set --batch-size to the rows"],
  [
    "attack: 5 samples of the data set images: none",
    "attack: 5 samples of the data set images: none",
  ],
])("%s is %s", (message, expected) => {
  expect(withOptionNames(message)).toBe(expected);
});

import type { LogRow } from "@dmae/smoothing-certify";
import { expect, test } from "vitest";
import { accuracyTable, paperRows } from "./report-stage.ts";
import { testRecipes } from "./testing/recipes.ts";

const row = (idx: number, correct: 0 | 1, radius: number): LogRow => ({
  idx,
  label: 1,
  predict: correct ? 1 : -1,
  radius,
  correct,
  time: 0,
});

const first = [row(0, 1, 0.6), row(1, 1, 0.1), row(2, 0, 0), row(3, 1, 0.5)];
const second = [row(0, 1, 1.2), row(1, 0, 0), row(2, 0, 0), row(3, 0, 0)];
const own = { name: "a", rows: first, sigma: 0.25, isOwn: true };
const other = { name: "b", rows: second, sigma: 0.25, isOwn: false };

test("the table sets our logs beside the paper's row at their sigma, and the best of them beside the best", () => {
  const table = accuracyTable(testRecipes.cr!, [own, other])!;
  const cells = table.rows.map(({ name, cells }) => [name, ...cells.map((c) => c.split(" ")[0])]);
  expect(cells).toEqual([
    ["a", "75.0", "50.0", "0.0"],
    ["b", "25.0", "25.0", "25.0"],
    ["best of these", "75.0", "50.0", "25.0"],
    ["paper, Table 2, sigma 0.25", "", "50.0", ""],
    ["difference, points", "", "+0.0", ""],
    ["paper, Table 1, best over sigma", "", "60.0", ""],
    ["difference, points", "", "−10.0", ""],
  ]);
  expect(table.note).toContain("Published: Table 2; Table 1. An empty cell");
});

test("a row of a log that others published is not called the paper's", () => {
  const [row] = paperRows(
    { percent: { "0.50": 40 }, sigma: 0.25, source: "log of a/b: every 20th image" },
    [0.5],
    undefined,
  );
  expect(row).toMatchObject({ name: "published, log of a/b, sigma 0.25", cells: ["40.0"] });
});

test("a row of the paper at a sigma that was not certified stands without a difference", () => {
  const table = accuracyTable(testRecipes.cr!, [{ ...own, sigma: 0.5 }])!;
  expect(table.rows.map(({ name }) => name)).toEqual([
    "a",
    "paper, Table 2, sigma 0.25",
    "paper, Table 1, best over sigma",
    "difference, points",
  ]);
});

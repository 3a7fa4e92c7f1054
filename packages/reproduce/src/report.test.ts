import type { LogRow } from "@dmae/smoothing-certify";
import { expect, test } from "vitest";
import { accuracyTable } from "./report-stage.ts";
import { testRecipes } from "./testing/recipes.ts";

const row = (idx: number, correct: 0 | 1, radius: number): LogRow => ({
  idx,
  label: 1,
  predict: correct ? 1 : -1,
  radius,
  correct,
  time: 0,
});

test("the table sets the best of our logs beside the paper's number, and leaves unverified cells empty", () => {
  const first = [row(0, 1, 0.6), row(1, 1, 0.1), row(2, 0, 0), row(3, 1, 0.5)];
  const second = [row(0, 1, 1.2), row(1, 0, 0), row(2, 0, 0), row(3, 0, 0)];
  const table = accuracyTable(testRecipes.cr!, [
    { name: "a", rows: first },
    { name: "b", rows: second },
  ])!;
  const cells = Object.fromEntries(table.rows.map(({ name, cells: list }) => [name, list]));
  expect(cells.a!.map((cell) => cell.split(" ")[0])).toEqual(["75.0", "50.0", "0.0"]);
  expect(cells.b!.map((cell) => cell.split(" ")[0])).toEqual(["25.0", "25.0", "25.0"]);
  expect(cells["best of these"]).toEqual(["75.0", "50.0", "25.0"]);
  expect(cells["paper, best over sigma"]).toEqual(["", "60.0", ""]);
  expect(cells["difference, points"]).toEqual(["", "−10.0", ""]);
  expect(table.note).toContain("could not be verified");
});

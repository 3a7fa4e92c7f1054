import { readFileSync, writeFileSync } from "node:fs";
import type { MethodSettings } from "@dmae/certified-training";
import { expect, it } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { compareCurves, ownCurve, publishedCurve } from "./curve.ts";
import { methodRows } from "./method-rows.ts";
import { trainingCurvesPage } from "./training-curves.ts";

const scratch = temporaryFolders("curve");

it("there is a published curve for every row of a method", () => {
  for (const { name } of methodRows)
    expect(publishedCurve(name).length).toBe(name === "catRs-0.25" ? 8 : 10);
  expect(publishedCurve("gaussian-0.25")[0]).toEqual({
    epoch: 0,
    trainLoss: 1.06,
    trainAccuracy: 61.7,
    testLoss: 0.683,
    testAccuracy: 74,
  });
  expect(publishedCurve("macer-0.25")[0]!.trainAccuracy).toBeNaN();
});

it("reads the log of a run and sets it beside the published curve", () => {
  const folder = scratch();
  const lines = [
    { kind: "step", step: 1, epoch: 0.5, loss: 2, trainLoss: 2 },
    { kind: "epoch", step: 2, loss: 1.5, trainLoss: 1.25, accuracy: 0.5 },
    { kind: "evaluation", step: 2, accuracy: 0.74, loss: 0.7 },
    { kind: "epoch", step: 4, loss: 1, trainLoss: 0.75, accuracy: 0.75 },
  ];
  writeFileSync(`${folder}/log.jsonl`, lines.map((line) => JSON.stringify(line)).join("\n"));
  const own = ownCurve(folder);
  expect(own).toEqual([
    { epoch: 0, trainLoss: 1.25, trainAccuracy: 50, testLoss: 0.7, testAccuracy: 74 },
  ]);
  expect(compareCurves(own, publishedCurve("macer-0.25"))).toEqual([
    ["1", "1.250 / 0.709", "50.0 / -", "0.700 / 0.550", "74.0 / 79.4"],
  ]);
});

it("docs/training-curves.md says what results/ says", () => {
  const page = new URL("../../../docs/training-curves.md", import.meta.url);
  expect(readFileSync(page, "utf8"), "run `npm run results`").toBe(trainingCurvesPage());
  expect(trainingCurvesPage()).toContain(
    "| 1 | 1.052 / 1.060 | 63.4 / 61.7 | 0.661 / 0.683 | 74.9 / 74.0 |",
  );
});

it("says that a row has not been run", () => {
  expect(() => ownCurve("nowhere")).toThrow("there is no run in nowhere; train the row first");
});

it("every method's batch is a step of the official loop", () => {
  const batches = Object.fromEntries(
    methodRows
      .slice(0, 7)
      .map(({ recipe }) => [(recipe.method as MethodSettings).name, recipe.batchSize]),
  );
  expect(batches).toEqual({
    ...{ gaussian: 256, stability: 256, smoothAdv: 64, macer: 64 },
    ...{ consistency: 128, smoothMix: 64, catRs: 64 },
  });
});

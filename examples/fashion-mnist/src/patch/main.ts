// Certified accuracy against patches: `npm run patch -- [--row NAME] [--seed 0] [--every 1]`. Trains the rows of
// patch-rows.ts, certifies test images and keeps their votes in results/. Started again, training goes on where it was.
import "@tensorflow/tfjs-backend-wasm";
import process from "node:process";
import { parseArgs } from "node:util";
import { DmaeError } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import { selectBackend } from "@dmae/nn";
import { precisionOf, runAsProgram } from "@dmae/reproduce/program";
import { certifyPatchRow } from "./certify-patch-row.ts";
import { patchRows } from "./patch-rows.ts";
import { trainPatchRow } from "./train-patch-row.ts";

const { values } = parseArgs({
  options: {
    row: { type: "string" },
    seed: { type: "string", default: "0" },
    every: { type: "string", default: "1" },
  },
});
const [seed, every] = [Number(values.seed), Number(values.every)];
const chosen = patchRows.filter(({ name }) => values.row === undefined || name === values.row);
await runAsProgram(async (signal) => {
  if (chosen.length === 0 || !Number.isSafeInteger(seed) || !(every >= 1))
    throw new DmaeError(
      "argument",
      `patch: --row must be one of ${patchRows.map(({ name }) => name).join(", ")}, --seed and --every whole numbers, got ${process.argv.slice(2).join(" ")}`,
    );
  await selectBackend("wasm");
  const { train, test } = await fashionMnist();
  const run = { seed, precision: precisionOf(), train, test, signal };
  for (const row of chosen) await certifyPatchRow(row, await trainPatchRow(row, run), run, every);
});

// Certified accuracy against patches: `npm run patch -- [--row NAME] [--seed 0] [--every 1]`. Trains the rows of
// patch-rows.ts, certifies test images and keeps their votes in results/. Started again, training goes on where it was.
import "@tensorflow/tfjs-backend-wasm";
import { DmaeError } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import { selectBackend } from "@dmae/nn";
import { commandLine, precisionOf, runAsProgram, wholeNumber } from "@dmae/reproduce/program";
import { certifyPatchRow } from "./certify-patch-row.ts";
import { patchRows } from "./patch-rows.ts";
import { trainPatchRow } from "./train-patch-row.ts";

await runAsProgram(async (signal) => {
  const values = commandLine({
    row: { type: "string" },
    seed: { type: "string", default: "0" },
    every: { type: "string", default: "1" },
  });
  const seed = wholeNumber("seed", values.seed, 0);
  const every = wholeNumber("every", values.every);
  const chosen = patchRows.filter(({ name }) => values.row === undefined || name === values.row);
  if (chosen.length === 0)
    throw new DmaeError(
      "argument",
      `--row: must be one of ${patchRows.map(({ name }) => name).join(", ")}, got ${values.row}`,
    );
  await selectBackend("wasm");
  const { train, test } = await fashionMnist();
  const run = { seed, precision: precisionOf(), train, test, signal };
  for (const row of chosen) await certifyPatchRow(row, await trainPatchRow(row, run), run, every);
});

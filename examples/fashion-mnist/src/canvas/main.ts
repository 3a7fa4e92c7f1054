// Many outputs certified at once: `npm run canvas -- [--seed 0] [--count 100] [--n 1000]`. Trains a ViT on canvases of several
// items under noise, then certifies the class of every pixel, and which items are there. Started again, it goes on where it was.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fashionMnist } from "@dmae/datasets";
import { selectBackend } from "@dmae/nn";
import { commandLine, runAsProgram, wholeNumber } from "@dmae/reproduce/program";
import { results } from "../certify-row.ts";
import { runs } from "../train-row.ts";
import { canvases } from "./canvases.ts";
import { certifyCanvases } from "./certify-canvases.ts";
import { trainDense } from "./train-dense.ts";

/** With fewer copies, unanimous ones cannot certify a share of 0.75 at alpha 0.001. */
const fewestCopies = 25;

await runAsProgram(async (signal) => {
  const values = commandLine({
    seed: { type: "string", default: "0" },
    count: { type: "string", default: "100" },
    n: { type: "string", default: "1000" },
  });
  const seed = wholeNumber("seed", values.seed, 0);
  const count = wholeNumber("count", values.count);
  const n = wholeNumber("n", values.n, fewestCopies);
  await selectBackend("cpu");
  const { train, test } = await fashionMnist();
  const params = await trainDense(canvases(train, 12_000, "train"), { seed, signal });
  const name = `canvases-n-${n}-seed-${seed}.canvas.tsv`;
  const file = join(runs, name);
  await certifyCanvases(params, canvases(test, count, "test"), file, { count, n, seed, signal });
  mkdirSync(results, { recursive: true });
  copyFileSync(file, join(results, name));
});

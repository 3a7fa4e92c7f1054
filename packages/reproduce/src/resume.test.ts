import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readLog } from "@dmae/smoothing-certify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryFolder, writeBinary } from "./testing/image-files.ts";
import { startProcess } from "./testing/process.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (...parts: string[]) => join(place.folder, ...parts);
beforeAll(async () => {
  place = await temporaryFolder();
  await writeBinary(at("data"));
});
afterAll(() => place.dispose());

const run = (folder: string, until?: string) => {
  const args = ["--recipe", "cr", "--smoke", "--data", at("data"), "--folder", at(folder)];
  const more = ["--checkpoint-every", "0.2", "--set", "certification.every=2"];
  return startProcess([...args, ...more], { cache: at("cache"), until });
};

/** All that a run decides, without times. */
async function results(folder: string) {
  const rows = await readLog(at(folder, "certify", "sigma-0.25.tsv"));
  return {
    model: (await readFile(at(folder, "finetune", "model.safetensors"))).toString("base64"),
    parts: (await readFile(at(folder, "evaluate", "parts.jsonl"), "utf8")).replaceAll("\n\n", "\n"),
    rows: rows.map(({ time: _, ...row }) => row),
  };
}

test("killed in training, evaluation and certification, a run ends with the same bits", async () => {
  await Promise.all([
    run("straight"),
    (async () => {
      await run("killed", "finetune 3/5");
      await run("killed", "evaluate noisy 0.25 4/4");
      await run("killed", "certify at sigma 0.25 2/4");
      await run("killed");
    })(),
  ]);
  const [straight, killed] = [await results("straight"), await results("killed")];
  expect(straight.rows).toHaveLength(4);
  expect(killed).toEqual(straight);
}, 180_000);

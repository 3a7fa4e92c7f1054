import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readLog } from "@dmae/smoothing-certify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryFolder, writeBinary } from "./testing.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (...parts: string[]) => join(place.folder, ...parts);
beforeAll(async () => {
  place = await temporaryFolder();
  await writeBinary(at("data"));
});
afterAll(() => place.dispose());

/** Runs the command line in a process of its own; kills it hard when it prints `until`. */
async function start(folder: string, until?: string): Promise<void> {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const main = fileURLToPath(new URL("./test-main.ts", import.meta.url));
  const args = [
    "--recipe",
    "cr",
    "--smoke",
    "--data",
    at("data"),
    "--folder",
    at(folder),
    "--checkpoint-every",
    "0.2",
  ];
  const child = spawn(
    process.execPath,
    ["--import", "tsx", main, ...args, "--set", "certification.every=2"],
    {
      cwd: root,
      env: { ...process.env, DMAE_CACHE: at("cache"), NODE_OPTIONS: "" },
    },
  );
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk;
    if (until !== undefined && output.includes(until)) child.kill("SIGKILL");
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("close", (...ended) => resolve(ended)),
  );
  if (until === undefined ? code !== 0 : signal !== "SIGKILL")
    throw new Error(`ended with ${code ?? signal}:\n${output}`);
}

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
    start("straight"),
    (async () => {
      await start("killed", "finetune 3/5");
      await start("killed", "evaluate noisy 0.25 4/4");
      await start("killed", "certify at sigma 0.25 2/4");
      await start("killed");
    })(),
  ]);
  const [straight, killed] = [await results("straight"), await results("killed")];
  expect(straight.rows).toHaveLength(4);
  expect(killed).toEqual(straight);
}, 180_000);

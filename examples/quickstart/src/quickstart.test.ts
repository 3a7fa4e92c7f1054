import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readLog } from "@dmae/smoothing-certify";
import { afterAll, expect, test } from "vitest";
import { readOptions } from "./options.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx/cli");
const folder = mkdtempSync(join(tmpdir(), "quickstart-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const args = (run: string, ...more: string[]) => [
  tsx,
  main,
  "--smoke",
  "--folder",
  join(folder, run),
  ...more,
];

/** Everything in a row but the time it took. */
const rows = async (run: string) =>
  (await readLog(join(folder, run, "certify-n-100-images-5.tsv"))).map(({ time, ...row }) => row);

test("a killed run, started again, ends with the numbers of one that was not", async () => {
  const whole = spawnSync(process.execPath, args("whole"), { encoding: "utf8" });
  expect(whole.status, whole.stderr).toBe(0);
  expect(whole.stdout).toContain("DMAE, this run (5 images, n = 100)");

  const killed = spawn(process.execPath, args("killed"));
  await new Promise<void>((resolve) => {
    killed.stderr.on("data", (text: Buffer) => {
      // Half-way through fine-tuning the first checkpoints are there.
      if (/fine-tuning 1[2-9]\/25/.test(String(text))) killed.kill("SIGKILL");
    });
    killed.on("close", () => resolve());
  });
  expect(killed.signalCode).toBe("SIGKILL");
  const again = spawnSync(process.execPath, args("killed"), { encoding: "utf8" });
  expect(again.status, again.stderr).toBe(0);
  expect(await rows("killed")).toEqual(await rows("whole"));

  const page = readFileSync(join(folder, "whole", "report.html"), "utf8");
  expect(page).toContain("SmoothAdv (Salman et al. 2019)");
  expect(page.match(/data:image\/png;base64/g)?.length).toBe(6);
  expect(page).not.toMatch(/(src|href)="http/);
}, 300_000);

test("--pretrained certifies the shipped model without training", async () => {
  const command = [tsx, main, "--pretrained", "--images", "2", "--n", "100"];
  const shipped = spawnSync(process.execPath, [...command, "--folder", join(folder, "shipped")], {
    encoding: "utf8",
  });
  expect(shipped.status, shipped.stderr).toBe(0);
  expect(shipped.stdout).toContain("DMAE, shipped model (2 images, n = 100)");
  const log = await readLog(join(folder, "shipped", "certify-n-100-images-2-int8.tsv"));
  expect(log.map(({ idx, predict }) => [idx, predict])).toEqual([
    [0, 9],
    [5000, 2],
  ]);
  const none = spawnSync(process.execPath, [...command, "--sigma", "0.3"], { encoding: "utf8" });
  expect(none.status).toBe(1);
  expect(none.stderr).toContain("--pretrained needs --sigma 0.25 or 0.5 or 1, got");
});

test("options: defaults, and errors that name option, rule and value", () => {
  expect(readOptions([])).toMatchObject({
    sigma: 0.25,
    images: 200,
    n: 1000,
    executor: "compiled",
  });
  expect(readOptions(["--backend", "wasm"])).toMatchObject({ executor: "eager", backend: "wasm" });
  expect(readOptions(["--backend", "compiled:cuda"])).toMatchObject({
    executor: "compiled",
    backend: "compiled:cuda",
  });
  expect(() => readOptions(["--backend", "compiled:cuda", "--executor", "eager"])).toThrow(
    "--backend compiled:cuda needs --executor compiled, got eager",
  );
  expect(readOptions(["--longer"])).toMatchObject({ epochs: 6, images: 200, n: 10_000 });
  expect(readOptions(["--longer", "--n", "2000"])).toMatchObject({ epochs: 6, n: 2000 });
  expect(readOptions(["--pretrained"])).toMatchObject({ images: 20, n: 1000, precision: "int8" });
  expect(() => readOptions(["--longer", "--smoke"])).toThrow("exclude each other");
  expect(() => readOptions(["--pretrained", "--longer"])).toThrow("exclude each other");
  expect(() => readOptions(["--pretrained", "--epochs", "2"])).toThrow(
    "--epochs says how to train",
  );
  expect(readOptions(["--help"])).toBe("help");
  expect(() => readOptions(["--sigma=-1"])).toThrow(
    "--sigma: must be a number above 0, at most 2, got -1",
  );
  expect(() => readOptions(["--n", "1.5"])).toThrow("--n: must be a whole number of at least 1");
  expect(() => readOptions(["--epoch", "2"])).toThrow("--epoch");
});

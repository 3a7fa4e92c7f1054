import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { writeLog } from "../log/log-file.ts";
import { main } from "./cli-main.ts";

const log = (method: string) =>
  fileURLToPath(
    new URL(`../__fixtures__/published/noise_0.5/${method}/noise_0.5.tsv.gz`, import.meta.url),
  );

/** Runs the command; what it prints and says. */
async function run(...argv: string[]) {
  let [out, error] = ["", ""];
  const io = { out: (t: string) => void (out += t), error: (t: string) => void (error += t) };
  return { status: await main(argv, io), out, error };
}

const published = ["--sigma", "0.5", "--votes", "100000"];

it("compare prints both logs and their paired differences", async () => {
  const numbers = [...published, "--n", "1000", "--radii", "0.5"];
  const { status, out, error } = await run("compare", log("cohen"), log("cat-rs"), ...numbers);
  expect([status, error]).toEqual([0, "10000 common images, n = 1000\n"]);
  expect(out).toMatch(
    /^\ta\tb\tb - a\tlow\thigh\nr=0.5(\t-?0\.\d{4}){5}\nACR(\t-?[01]\.\d{4}){5}\n$/,
  );
  expect((await run("compare", log("cohen"))).status).toBe(1);
});

it("compare finds no difference between a log and itself", async () => {
  const { out } = await run("compare", log("cohen"), log("cohen"), ...published, "--radii", "0.5");
  expect(out).toMatch(
    /\nr=0.5(\t0\.\d{4}){3}\t-0\.0003\t0\.0003\nACR(\t1\.\d{4}){2}(\t-?0\.0000){3}\n$/,
  );
});

it("compare refuses numbers for logs that say their own", async () => {
  const ours = join(mkdtempSync(join(tmpdir(), "smoothing-compare-")), "log.tsv");
  await writeLog(ours, [
    {
      ...{ idx: 0, label: 1, predict: 1, radius: 0.5, correct: 1, time: 0, pLower: 0.9 },
      ...{ samples: 110, counts0: [0, 10], counts: [1, 99] },
      settings: {
        ...{ procedure: "certify", sigma: 0.5, alpha: 0.001, n0: 10, n: 100 },
        ...{ seed: "1", generator: "g", dataset: "d", model: "m" },
      },
    },
  ]);
  const { status, error } = await run("compare", ours, ours, "--alpha", "0.01");
  expect([status, error]).toEqual([1, "\nerror: --alpha is for logs that do not say theirs\n"]);
});

it("compare names its own options where a log does not say its numbers", async () => {
  const { status, error } = await run("compare", log("cohen"), log("cat-rs"), "--sigma", "0.5");
  expect([status, error]).toEqual([
    1,
    `\nerror: compare: ${log("cohen")} does not say its sigma, n and alpha; give --sigma, --votes (its n) and --alpha (default: 0.001)\n`,
  ]);
  const help = (await run("compare", "--help")).out;
  expect(help).toMatch(/--n N .*compare: the smaller n of the two logs/);
  expect(help).toMatch(/--radii X,X .*compare: radii/);
});

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { LENGTH, writeLongLogs } from "../__fixtures__/long-log.ts";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = temporaryFolders("smoothing-memory");
const tsx = createRequire(import.meta.url).resolve("tsx");
const report =
  'data:text/javascript,process.on("exit", () => console.error("maxRSS", process.resourceUsage().maxRSS))';

let [all, shards] = ["", [] as string[]];
beforeAll(async () => {
  const base = folder();
  all = join(base, "all.tsv");
  shards = ["0.tsv", "1.tsv"].map((name) => join(base, name));
  await writeLongLogs(all, shards);
}, 600_000);

/** Runs a program with little memory; gives what it printed and the most memory that it held, in MB. */
function run(program: string, ...args: readonly string[]) {
  const node = ["--max-old-space-size=200", "--import", report, "--import", `file://${tsx}`];
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [...node, path(program), ...args],
    {
      encoding: "utf8",
      maxBuffer: 2 ** 30,
    },
  );
  expect(status, stderr.slice(-2000)).toBe(0);
  const megabytes = Number(/maxRSS (\d+)/.exec(stderr)?.[1]) / 1000;
  console.log(`${args[0]}: ${Math.round(megabytes)} MB`);
  return { stdout, stderr, megabytes };
}

it("analyzes a million rows in 300 MB", () => {
  const { stdout, megabytes } = run("cli.ts", "analyze", all, "--svg", join(folder(), "a.svg"));
  expect(stdout).toContain(` ${LENGTH} `);
  expect(megabytes).toBeLessThan(300);
});

it("merges them in 300 MB", () => {
  const out = join(folder(), "merged.tsv");
  const { stderr, megabytes } = run("cli.ts", "merge", ...shards, "--out", out);
  expect(stderr).toContain(`${LENGTH} rows written`);
  expect(megabytes).toBeLessThan(300);
  expect(spawnSync("cmp", [out, all]).status).toBe(0);
});

it("computes their certificates anew in 300 MB", () => {
  const out = join(folder(), "anew.tsv");
  const { stderr, megabytes } = run("cli.ts", "recertify", all, "--alpha", "0.01", "--out", out);
  expect(stderr).toContain(`${LENGTH} rows written`);
  expect(megabytes).toBeLessThan(300);
});

it("compares two logs of a million rows in 300 MB", () => {
  const { stderr, megabytes } = run("cli.ts", "compare", all, all);
  expect(stderr).toContain(`${LENGTH} common images`);
  expect(megabytes).toBeLessThan(300);
});

it("resumes after a million rows in 300 MB", () => {
  const { stdout, megabytes } = run("../__fixtures__/long-log.ts", "resume", all);
  expect(stdout).toBe(`${LENGTH + 1} rows\n`);
  expect(megabytes).toBeLessThan(300);
});

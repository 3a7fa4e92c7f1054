import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { readLog } from "./log-file.ts";
import type { LogRow, LogSettings } from "./log-row.ts";
import { openLog } from "./log-writer.ts";

const folder = temporaryFolders("smoothing-lock");
const place = () => join(folder(), "log.tsv");
const settings: LogSettings = {
  procedure: "certify",
  sigma: 0.25,
  alpha: 0.001,
  n0: 100,
  n: 1000,
  seed: "0",
  generator: "g",
  dataset: "d",
  model: "m",
};
const row: LogRow = {
  idx: 1,
  label: 3,
  predict: 3,
  radius: 0.1,
  correct: 1,
  time: 1,
  pLower: 0.9,
  samples: 1100,
  counts0: [0, 100],
  counts: [5, 995],
  settings,
};
describe("a log has one writer", () => {
  it("in one process, and leaves no lock behind", async () => {
    const log = place();
    const first = await openLog(log, settings);
    await expect(openLog(log, settings)).rejects.toMatchObject({ code: "resume" });
    await expect(openLog(log, settings)).rejects.toThrow(
      `${log} is being written by process ${process.pid} on ${hostname()}, this one; wait until it ends`,
    );
    await first.append(row);
    expect(await readLog(log)).toEqual([row]); // readers need no lock
    await first.close();
    const second = await openLog(log, settings);
    await second.close();
    expect(readdirSync(join(log, ".."))).toEqual(["log.tsv"]);
  });

  it("each, so shards do not disturb one another", async () => {
    const [a, b] = [place(), place()];
    const logs = await Promise.all([openLog(a, settings), openLog(b, settings)]);
    for (const log of logs) await log.append(row);
    for (const log of logs) await log.close();
    expect((await readLog(a)).length + (await readLog(b)).length).toBe(2);
  });

  it("and gives it back where opening fails", async () => {
    const log = place();
    writeFileSync(log, "precious\n");
    await expect(openLog(log, settings)).rejects.toThrow("the header must have the columns");
    expect(existsSync(`${log}.lock`)).toBe(false);
  });
});

describe("a lock that was lost", () => {
  it("stops the one that stood still before it writes", async () => {
    const log = place();
    const writer = await openLog(log, settings);
    const before = readFileSync(log, "utf8");
    writeFileSync(`${log}.lock`, "{}");
    await expect(writer.append(row)).rejects.toThrow("was taken over by another process");
    await writer.close();
    expect(readFileSync(log, "utf8")).toBe(before);
    expect(existsSync(`${log}.lock`)).toBe(true); // not its own
  });
});

describe("two processes", () => {
  const program = fileURLToPath(new URL("../__fixtures__/slow-run.ts", import.meta.url));
  const tsx = createRequire(import.meta.url).resolve("tsx");
  const start = (log: string) =>
    spawn(process.execPath, ["--import", `file://${tsx}`, program, log], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  const end = (child: ChildProcess) => {
    let errors = "";
    child.stderr!.on("data", (text) => {
      errors += text;
    });
    return new Promise<{ code: number | null; errors: string }>((resolve) =>
      child.on("close", (code) => resolve({ code, errors })),
    );
  };
  const firstRow = (child: ChildProcess) =>
    new Promise((resolve) => child.stdout!.once("data", resolve));

  it("the second is refused while the first writes, and goes on once it was killed", async () => {
    const log = place();
    const first = start(log);
    const firstEnd = end(first);
    await firstRow(first);
    first.kill("SIGSTOP"); // else it may be done before the second begins
    const second = await end(start(log));
    expect(second.code).not.toBe(0);
    expect(second.errors).toContain(
      `is being written by process ${first.pid} on ${hostname()}; wait until it ends`,
    );
    first.kill("SIGKILL");
    await firstEnd;
    expect(existsSync(`${log}.lock`)).toBe(true);
    expect((await readLog(log, { partial: true })).length).toBeLessThan(40);
    const third = await end(start(log));
    expect(third.errors).toBe("");
    expect((await readLog(log)).length).toBe(40);
    expect(existsSync(`${log}.lock`)).toBe(false);
  }, 60_000);
});

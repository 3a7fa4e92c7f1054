import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { canMount, onDisk } from "../../../../testing/small-disk.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { writeLog } from "../log/log-file.ts";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = temporaryFolders("smoothing-outputs");
const tsx = createRequire(import.meta.url).resolve("tsx");
const program = [process.execPath, "--import", `file://${tsx}`, path("cli.ts")];
const model = ["--model", path("../__fixtures__/halves.mjs"), "--sigma", "0.5"];
const certify = ["certify", ...model, "--data", path("../__fixtures__/steps.mjs"), "--n", "50"];

/** A log of 20,000 rows: more than a pipe holds. */
let log: string;
beforeAll(async () => {
  log = join(folder(), "log.tsv");
  const row = { label: 1, predict: 1, radius: 0.5, correct: 1, time: 1 } as const;
  await writeLog(
    log,
    Array.from({ length: 20_000 }, (_, idx) => ({ idx, ...row })),
  );
});

const run = (...args: readonly string[]) =>
  spawnSync(program[0]!, [...program.slice(1), ...args], { encoding: "utf8" });
const shell = (line: string, ...args: readonly string[]) =>
  spawnSync("sh", ["-c", line, "sh", ...program, ...args], { encoding: "utf8" });
/** What is left of standard error without progress: one line, no stack trace. */
const oneError = (stderr: string) => {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  expect(lines.length, stderr).toBe(1);
  return lines[0];
};

describe.runIf(existsSync("/dev/full"))("results that cannot be written", () => {
  it.each([
    [["merge"], true],
    [["recertify", "--help"], false],
    [["analyze"], true],
  ])("%j > /dev/full is one line", (args, needsLog) => {
    const { status, stderr } = shell('"$@" > /dev/full', ...args, ...(needsLog ? [log] : []));
    expect(status).toBe(1);
    expect(oneError(stderr)).toMatch(
      /^error: smoothing-certify: cannot write to standard output: ENOSPC.*the disk is full; make room/,
    );
  });

  it("certify > /dev/full ends before the model computes", () => {
    const { status, stderr } = shell('"$@" > /dev/full', ...certify);
    expect(status).toBe(1);
    expect(oneError(stderr)).toContain("ENOSPC"); // no line of preflight
  });

  it("| head ends with one line, and head has its lines", () => {
    const { stdout, stderr } = shell('"$@" | head -n 2', "merge", log);
    expect(stdout).toBe("idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t1\t1\t0.5\t1\t0:00:01\n");
    expect(oneError(stderr)).toContain("EPIPE");
  });

  it("a log goes on when nobody reads progress", () => {
    const to = join(folder(), "run.tsv");
    expect(shell('("$@" 2>&1; echo $? > "$0.status") | true', ...certify, "--log", to).status).toBe(
      0,
    );
    expect(readFileSync(to, "utf8").split("\n").length).toBe(22);
  });
});

describe("files that cannot be written", () => {
  it.each(["--svg", "--png"])("%s names a folder", (option) => {
    const { status, stderr } = run("analyze", log, option, folder());
    expect(status).toBe(1);
    expect(oneError(stderr)).toMatch(
      new RegExp(`^error: ${option}: .* must be a file, got a folder`),
    );
  });

  it.runIf(existsSync("/dev/full"))("a device is written to, not replaced", () => {
    const { status, stderr } = run("analyze", log, "--svg", "/dev/full");
    expect(status).toBe(1);
    expect(oneError(stderr)).toContain("error: --svg: cannot write /dev/full: ENOSPC");
    expect(statSync("/dev/full").isCharacterDevice()).toBe(true);
  });

  it.each([
    ["a folder", () => folder(), "a log must be a file, got"],
    ["a device", () => "/dev/full", "a log must be a file, got /dev/full, which is a device"],
    ["below a file", () => join(log, "x.tsv"), "a file is in the way"],
  ])("--log that is %s is refused before the model computes", (_, make, message) => {
    const { status, stderr } = run(...certify, "--log", make());
    expect(status).toBe(1);
    expect(oneError(stderr)).toContain(message);
  });

  it.each([
    ["a folder", () => folder()],
    ["nothing", () => join(folder(), "no.tsv")],
  ])("a log to read that is %s is one line", (_, make) => {
    const { status, stderr } = run("analyze", make());
    expect(status).toBe(1);
    expect(oneError(stderr)).toContain("error: readLog: cannot read");
  });
});

describe.runIf(canMount)("disks", () => {
  it.each([
    ["ro", "EROFS"],
    ["nr_inodes=1", "ENOSPC"],
  ])("mounted with %s: said before the model computes", (options, message) => {
    const disk = folder();
    const { status, stderr } = onDisk(disk, options, [
      ...program,
      ...certify,
      "--log",
      join(disk, "run.tsv"),
    ]);
    expect(status).toBe(1);
    expect(oneError(stderr)).toContain(message);
  });

  it("that fill up in a run keep every whole row, and the run goes on with room", () => {
    const disk = folder();
    const kept = folder();
    const script = `"$@" ; cp ${disk}/* ${kept}`;
    const long = ["--seed", "s".repeat(300), "--quiet"]; // stands in every row: they fill two pages
    const small = [...certify, ...long, "--log", join(disk, "run.tsv")];
    const { stderr } = onDisk(disk, "size=8k", ["sh", "-c", script, "sh", ...program, ...small]);
    expect(oneError(stderr)).toContain("ENOSPC");
    const before = readFileSync(join(kept, "run.tsv"), "utf8");
    expect(readdirSync(kept)).toEqual(["run.tsv"]);
    const rows = before.split("\n").length - 2;
    expect(rows).toBeGreaterThan(2);
    expect(rows).toBeLessThan(20);
    const more = run(...certify, ...long, "--log", join(kept, "run.tsv"));
    expect(more.stderr).toBe("");
    const after = readFileSync(join(kept, "run.tsv"), "utf8");
    expect(after.startsWith(before.slice(0, before.lastIndexOf("\n")))).toBe(true);
    expect(after.split("\n").length).toBe(22);
  });

  it("that are full leave the file that was there", () => {
    const disk = folder();
    mkdirSync(join(disk, "sub"));
    const script = `echo old > ${disk}/a.svg; head -c 60000 /dev/zero > ${disk}/fill; "$@"; cat ${disk}/a.svg; ls ${disk}`;
    const command = [...program, "analyze", log, "--svg", join(disk, "a.svg"), "--format", "csv"];
    const { stdout, stderr } = onDisk(disk, "size=64k", ["sh", "-c", script, "sh", ...command]);
    expect(oneError(stderr)).toContain("error: --svg: cannot write");
    expect(stdout.split("\n").slice(-4)).toEqual(["old", "a.svg", "fill", ""]);
  });
});

describe("merge --out", () => {
  it("leaves nothing half written, and never overwrites", () => {
    const to = join(folder(), "all.tsv");
    writeFileSync(to, "precious");
    expect(oneError(run("merge", log, "--out", to).stderr)).toContain("exists already");
    expect(readFileSync(to, "utf8")).toBe("precious");
  });
});

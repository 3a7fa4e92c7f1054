import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const folder = fileURLToPath(new URL("..", import.meta.url));

/** What a program says about its options, and its exit code. */
async function complaint(program: string, ...options: string[]) {
  const args = ["--import", "tsx", `src/${program}.ts`, ...options];
  const run = promisify(execFile)(process.execPath, args, { cwd: folder });
  const { code, stderr } = await run.then(
    () => ({ code: 0, stderr: "" }),
    (error: { code: number; stderr: string }) => error,
  );
  return { code, text: stderr.trim() };
}

it.each([
  [
    "main",
    ["--row", "gaussian-0.25", "--certify", "--n", "0"],
    "--n: must be a whole number of at least 1, got 0",
  ],
  [
    "main",
    ["--row", "dmae-adv-cr-0.25", "--epochs", "1"],
    "--epochs: is for the published methods",
  ],
  ["main", ["--row", "gaussian-0.25", "--seed", "1", "--seeds", "3"], "give one of them"],
  ["main", ["--row", "gaussian-0.25", "--again"], "--again: is for --certify, which is missing"],
  ["main", ["--nonsense"], "there is no option --nonsense; the nearest are"],
  ["ship", ["--row", "gaussian-0.25"], "--row: must be one of dmae-adv-cr-0.25"],
  ["canvas/main", ["--n", "5"], "--n: must be a whole number of at least 25, got 5"],
  ["patch/main", ["--every", "1.5"], "--every: must be a whole number of at least 1, got 1.5"],
])("%s says what is wrong with %s before it begins", async (program, options, message) => {
  const { code, text } = await complaint(program, ...options);
  expect(text.split("\n")).toEqual([expect.stringContaining(message)]);
  expect(code).toBe(1);
});

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Files in all, and milliseconds after which a file counts as one that hangs. */
const files = Number(process.env.FUZZ_FILES ?? 26_000);
const seed = Number(process.env.FUZZ_SEED ?? 2026);
const patience = 60_000;

// A process of its own with a heap of 256 MiB: it dies of a file that takes more, and is killed where it hangs.
test("damaged files of every format are read or refused, soon and in little memory", async () => {
  const environment = { ...process.env, TSX_TSCONFIG_PATH: path("../../tsconfig.json") };
  const child = spawn(
    process.execPath,
    ["--max-old-space-size=256", "--import", "tsx", path("child.ts"), `${seed}`, "0", `${files}`],
    { env: environment, stdio: ["ignore", "pipe", "pipe"] },
  );
  let last = "";
  let errors = "";
  let timer = setTimeout(() => {}, 0);
  child.stderr.on("data", (text) => {
    errors = `${errors}${text}`.slice(-5000);
  });
  child.stdout.on("data", (text) => {
    last = `${last}${text}`.split("\n").slice(-2).join("\n");
    clearTimeout(timer);
    timer = setTimeout(() => child.kill("SIGKILL"), patience);
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  expect(status, `after ${last}: ${errors}`).toBe(0);
  const counts: Record<string, { read: number; refused: number }> = JSON.parse(last);
  console.table(counts);
  for (const [name, { read, refused }] of Object.entries(counts)) {
    expect(read + refused, name).toBe(files / Object.keys(counts).length);
    expect(refused, name).toBeGreaterThan(0);
  }
});

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

// A process of its own with a heap of 256 MiB: a hang is killed, a blown-up file runs out of memory.
test("100,000 damaged files: no hang, no crash, no more memory than the cap", async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      "--max-old-space-size=256",
      "--import",
      "tsx",
      path("./testing/fuzz-main.ts"),
      "2026",
      "100000",
    ],
    {
      timeout: 1_500_000,
      env: { ...process.env, TSX_TSCONFIG_PATH: path("../../../tsconfig.json") },
    },
  );
  const { loaded, refused, grownMiB } = JSON.parse(stdout);
  console.log({ loaded, refused, grownMiB });
  expect(loaded + refused).toBe(100_000);
  expect(loaded).toBeGreaterThan(1000);
  expect(grownMiB).toBeLessThan(256);
});

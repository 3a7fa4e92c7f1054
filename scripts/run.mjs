// The commands of the README. Needs only Node and npm: installs the pinned pnpm, then runs the steps.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

const { packageManager } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
);
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Node >= 20.19 is required, found ${process.versions.node}: install it from https://nodejs.org`,
  );
  process.exit(1);
}

const [command = "", ...rest] = process.argv.slice(2);
const forwarded = rest.map((argument) => JSON.stringify(argument)).join(" ");
const steps = {
  start: [
    "turbo run build --filter=@dmae/example-quickstart... --output-logs=errors-only",
    `pnpm --silent --filter @dmae/example-quickstart start ${forwarded}`,
  ],
  playground: [
    "turbo run build --filter=@dmae/playground^... --output-logs=errors-only",
    `pnpm --silent --filter @dmae/playground start ${forwarded}`,
  ],
  // The test runner comes last: its closing line is the verdict.
  test: [
    "biome ci . --diagnostic-level=error",
    "node scripts/api-report.mjs --check",
    "turbo run build --output-logs=errors-only",
    "tsc -p tsconfig.json",
    "turbo run check:pack --output-logs=errors-only",
    "node scripts/check-install.mjs",
    "npm run --silent docs",
    `vitest run ${forwarded}`,
  ],
}[command];
if (!steps) throw new Error("usage: node scripts/run.mjs start|test|playground");

for (const step of [`npx --yes ${packageManager} install --prefer-offline`, ...steps]) {
  const started = Date.now();
  const { status } = spawnSync(step, {
    shell: true,
    stdio: "inherit",
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
  });
  if (status !== 0) {
    console.error(`\nfailed: ${step}`);
    process.exit(status ?? 1);
  }
  if (command === "test") console.log(`[${((Date.now() - started) / 1000).toFixed(1)} s] ${step}`);
}

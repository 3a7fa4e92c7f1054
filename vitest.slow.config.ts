import { defineConfig } from "vitest/config";
import { alias, plainSummary } from "./vitest.config.ts";

/** The slow lane: training to a threshold, fuzzing, long coverage simulations. */
export default defineConfig({
  resolve: { alias },
  test: {
    include: [
      "packages/*/src/**/*.slow.test.ts",
      "examples/**/*.slow.test.ts",
      "testing/**/*.slow.test.ts",
    ],
    reporters: ["default", plainSummary],
    testTimeout: 1_800_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});

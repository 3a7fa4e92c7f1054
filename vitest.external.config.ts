import { defineConfig } from "vitest/config";
import { alias, plainSummary } from "./vitest.config.ts";

/** The external lane of the packages: what needs a network or a GPU. Each file says how to run it. */
export default defineConfig({
  resolve: { alias },
  test: {
    include: ["packages/*/src/**/*.external.test.ts"],
    reporters: ["default", plainSummary],
    testTimeout: 1_800_000,
    maxWorkers: 1,
  },
});

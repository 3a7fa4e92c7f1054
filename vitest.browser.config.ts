import { defineConfig } from "vitest/config";
import { plainSummary } from "./vitest.config.ts";

/** The browser lane, run by `npm run test:browser`: the packages as built, in a Chromium and in Node. */
export default defineConfig({
  test: {
    include: ["testing/browser/**/*.external.test.ts"],
    reporters: ["default", plainSummary],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 1,
  },
});

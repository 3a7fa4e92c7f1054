import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import type { Reporter, TestModule } from "vitest/node";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Tests run on the sources: `@dmae/x` is `packages/x/src/index.ts`, `@dmae/x/part` is `packages/x/src/part.ts`. */
export const alias = [
  { find: /^@dmae\/([a-z-]+)$/, replacement: here("packages/$1/src/index.ts") },
  { find: /^@dmae\/([a-z-]+)\/([a-z-]+)$/, replacement: here("packages/$1/src/$2.ts") },
];

/** Prints the closing line that CI reads. */
export const plainSummary: Reporter = {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) count[test.result().state]++;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
    console.log(`\n${count.passed} passed, ${count.failed} failed${skipped}`);
  },
};

export default defineConfig({
  resolve: { alias },
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "examples/**/*.test.ts",
      "testing/**/*.test.ts",
      "docs/**/*.test.ts",
      "playground/src/**/*.test.ts",
    ],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.slow.test.ts", "**/*.external.test.ts"],
    reporters: ["default", plainSummary],
    testTimeout: 60_000,
    maxWorkers: 2,
    onConsoleLog: (log) => !log.includes("Hi, looks like you are running TensorFlow.js in Node.js"),
    coverage: {
      provider: "v8",
      include: ["packages/*/src/**/*.ts"],
      reporter: ["text-summary", "json-summary", "html"],
      thresholds: { lines: 80, branches: 80 },
    },
  },
});

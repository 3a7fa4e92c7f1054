import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { alias, plainSummary } from "./vitest.config.ts";

const project = process.env.DMAE_NATIVE_PROJECT;
if (!project) throw new Error("run the native lane with: pnpm test:native");
const tfjsNode = createRequire(join(project, "package.json")).resolve("@tensorflow/tfjs-node");
const native = fileURLToPath(new URL("testing/native/as-other-backends.ts", import.meta.url));

/** The native lane, run by `pnpm test:native`: the tests that compute with tensors, on TensorFlow instead of cpu and wasm. */
export default defineConfig({
  resolve: {
    alias: [
      ...alias,
      { find: /^@tensorflow\/tfjs-backend-(cpu|wasm)$/, replacement: native },
      { find: /^@tensorflow\/tfjs-node$/, replacement: tfjsNode },
    ],
  },
  test: {
    include: [
      "testing/native/**/*.external.test.ts",
      "packages/{nn,vit,consistency-loss,train,pretrain,finetune}/src/**/*.test.ts",
    ],
    exclude: [
      "**/node_modules/**",
      "**/dist/**",
      "**/*.slow.test.ts",
      "**/scratch*.test.ts",
      "packages/nn/src/select-backend.test.ts",
    ],
    reporters: ["default", plainSummary],
    testTimeout: 600_000,
    onConsoleLog: (log) =>
      !/Platform node has already been set|Hi, looks like you are running TensorFlow.js in Node.js/.test(
        log,
      ),
    maxWorkers: 1,
  },
});

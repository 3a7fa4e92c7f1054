import { defineConfig } from "tsup";

/** Our side of the comparison with PyTorch as its users run it: JavaScript on built packages, no compiler in the process. */
export default defineConfig({
  entry: {
    "compile-worker": "_compile-worker.ts",
    "distributed-worker": "_distributed-worker.ts",
  },
  format: "esm",
  target: "es2022",
  silent: true,
});

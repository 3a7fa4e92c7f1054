import { defineConfig, type Options } from "tsup";

/**
 * The build shared by every package: ESM for ES2022, types, source maps; dependencies stay external.
 * `overrides` changes the entry `src/index.ts`; each of `more` is a further build without types.
 */
export const library = (overrides: Options = {}, ...more: Options[]) => {
  const base: Options = { format: ["esm"], target: "es2022", platform: "neutral", sourcemap: true };
  return defineConfig([
    { ...base, entry: { index: "src/index.ts" }, dts: { resolve: false }, ...overrides },
    ...more.map((options) => ({ ...base, ...options })),
  ]);
};

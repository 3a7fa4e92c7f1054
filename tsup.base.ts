import { readFileSync, rmSync } from "node:fs";
import { defineConfig, type Options } from "tsup";

/** `src/index.ts`, and `src/x.ts` for each `./x` among the exports of the package being built. */
function entries(): Record<string, string> {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
  const parts = Object.keys(exports).filter((path) => /^\.\/[a-z-]+$/.test(path));
  const names = ["index", ...parts.map((path) => path.slice(2))];
  return Object.fromEntries(names.map((name) => [name, `src/${name}.ts`]));
}

/**
 * Entries that share chunks import some of them for their effects alone, which bundlers warn about: our packages
 * say that they have none. The line stays, empty, so that source maps fit.
 */
const withoutBareImports: NonNullable<Options["plugins"]>[number] = {
  name: "without-bare-imports",
  renderChunk: (code) => ({ code: code.replace(/^import "\.\/chunk-\w+\.js";$/gm, "") }),
};

/**
 * The build shared by every package: ESM for ES2022, types, source maps; dependencies stay external.
 * `overrides` changes the main build, of the package's exports; each of `more` is a further build without types.
 *
 * Chunks are named by content, so that those of earlier builds would be packed: `dist` starts empty. tsup's `clean` acts in
 * each of the builds, which run at the same time, and would remove what another one has written.
 */
export const library = (overrides: Options = {}, ...more: Options[]) => {
  rmSync("dist", { recursive: true, force: true });
  const base: Options = {
    format: ["esm"],
    target: "es2022",
    platform: "neutral",
    sourcemap: true,
    plugins: [withoutBareImports],
  };
  return defineConfig([
    { ...base, entry: entries(), dts: { resolve: false }, ...overrides },
    ...more.map((options) => ({ ...base, ...options })),
  ]);
};

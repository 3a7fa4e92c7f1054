import { existsSync, readdirSync, readFileSync } from "node:fs";

/** The source of each entry of a package: `./log` in its `exports` is `src/log.ts`. */
const entries = (name) => {
  const file = `packages/${name}/package.json`;
  if (!existsSync(file)) return []; // what a build left of a package that was renamed
  const { exports } = JSON.parse(readFileSync(file, "utf8"));
  return Object.values(exports)
    .filter(({ types }) => types)
    .map(
      ({ types }) => `packages/${name}/${types.replace("./dist", "src").replace(".d.ts", ".ts")}`,
    );
};

/** @type {Partial<import("typedoc").TypeDocOptions>} */
export default {
  name: "@dmae",
  plugin: ["typedoc-plugin-markdown", "typedoc-vitepress-theme", "./scripts/typedoc-packages.mjs"],
  entryPoints: readdirSync("packages").flatMap(entries),
  tsconfig: "tsconfig.docs.json",
  out: "docs/api",
  docsRoot: "docs",
  entryFileName: "index",
  excludeScopesInPaths: true,
  hidePageHeader: true,
  displayBasePath: ".",
  readme: "none",
  excludeInternal: true,
  excludePrivate: true,
  disableGit: true,
  gitRevision: "main",
  sourceLinkTemplate: "https://github.com/dmae-js/dmae/blob/{gitRevision}/{path}#L{line}",
  validation: { notExported: true, invalidLink: true, notDocumented: true, rewrittenLink: true },
  requiredToBeDocumented: ["Class", "Function", "Interface", "TypeAlias", "Variable", "Enum"],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
};

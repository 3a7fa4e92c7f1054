// A TypeDoc plugin: one program for all packages (an eighth of the time of TypeDoc's own "packages" strategy), in
// which modules are named as programs import them, `@dmae/x` or `@dmae/x/part`; the first begins with its README.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Converter, MinimalSourceFile } from "typedoc";
import { siteLink } from "../docs/.vitepress/links.mjs";

/** The README of a package, with links as the site follows them. */
function readme(folder) {
  const file = resolve(folder, "README.md").replaceAll("\\", "/");
  const text = readFileSync(file, "utf8").replace(
    /\]\(([^)\s]+)\)/g,
    (_, href) => `](${siteLink(file, href)})`,
  );
  return new MinimalSourceFile(text, file);
}

/** Names the modules of `app`'s project after their packages. */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      const file = module.sources[0].fullFileName.replaceAll("\\", "/");
      const [, folder, entry] = /(packages\/[^/]+)\/src\/(.+)\.ts$/.exec(file);
      const { name } = JSON.parse(readFileSync(resolve(folder, "package.json"), "utf8"));
      module.name = entry === "index" ? name : `${name}/${entry}`;
      if (entry !== "index") continue;
      module.readme = app.converter.parseRawComment(readme(folder), project.files).content;
    }
  });
}

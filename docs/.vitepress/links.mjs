// Links of Markdown files are relative, as GitHub follows them. This file says where they lead on the site.
import { existsSync, statSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const docs = fileURLToPath(new URL("..", import.meta.url));
const root = resolve(docs, "..");
export const repository = "https://github.com/dmae-js/dmae";

/**
 * Where the link `href` of the Markdown file `file` leads on the site: a page of `docs/`, a package's API, or
 * the source on GitHub.
 * @throws an Error if `href` names a file that does not exist
 */
export function siteLink(file, href) {
  if (/^[a-z]+:|^[#/]/i.test(href)) return href;
  const [, path, anchor = ""] = /^([^#]*)(#.*)?$/.exec(href);
  const target = resolve(dirname(file), decodeURI(path));
  const within = (folder) => relative(folder, target).replaceAll("\\", "/");
  if (!within(docs).startsWith("../")) return `/${within(docs)}${anchor}`;
  if (!existsSync(target))
    throw new Error(`${relative(root, file)}: the link ${href} leads nowhere`);
  const [, name] = /^packages\/([^/]+)(?:\/README\.md)?$/.exec(within(root)) ?? [];
  if (name) return `/api/${name}/index.md${anchor}`;
  const kind = statSync(target).isDirectory() ? "tree" : "blob";
  return `${repository}/${kind}/main/${within(root)}${anchor}`;
}

/** A markdown-it plugin that applies {@link siteLink} to each link of a page outside `docs/api`. */
export function siteLinks(md) {
  md.core.ruler.push("site-links", ({ tokens, env }) => {
    if (env.path.includes("/docs/api/")) return;
    for (const token of tokens.flatMap(({ children }) => children ?? []))
      if (token.type === "link_open")
        token.attrSet("href", siteLink(env.path, token.attrGet("href")));
  });
}

// Links of Markdown files are relative, as GitHub follows them. This file says where they lead on the site.
import { existsSync, statSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const docs = fileURLToPath(new URL("..", import.meta.url));
const root = resolve(docs, "..");
export const repository = "https://github.com/dmae-js/dmae";
/** Files of `docs/` that are no pages of the site: lists for reviewers. */
export const offSite = ["api-report.md"];

/**
 * Where the link `href` of the Markdown file `file` leads on the site: a page of `docs/`, a package's API, or
 * the source on GitHub. READMEs on npm link to our files by their address on GitHub.
 * @throws an Error if `href` names a file that does not exist
 */
export function siteLink(file, href) {
  const ours = /^(?:blob|tree)\/main\/(.*)/.exec(href.replace(`${repository}/`, ""));
  if (!ours && /^[a-z]+:|^[#/]/i.test(href)) return href;
  const [, path, anchor = ""] = /^([^#]*)(#(?!readme$).*)?/.exec(ours ? ours[1] : href);
  const target = resolve(ours ? root : dirname(file), decodeURI(path));
  const within = (folder) => relative(folder, target).replaceAll("\\", "/");
  if (!within(docs).startsWith("../") && !offSite.includes(within(docs)))
    return `/${within(docs)}${anchor}`;
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

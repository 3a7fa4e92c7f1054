// Fails where a link between pages of the built site (docs/.vitepress/dist) leads to no page or to no heading.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../docs/.vitepress/dist/", import.meta.url));
const decode = (text) => decodeURIComponent(text.replaceAll("&amp;", "&"));

const pages = new Map();
for (const name of readdirSync(dist, { recursive: true })) {
  if (!name.endsWith(".html")) continue;
  const html = readFileSync(dist + name, "utf8");
  const ids = new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => decode(id)));
  const path = `/${name.replaceAll("\\", "/")}`.replace(/(index)?\.html$/, "");
  pages.set(path, {
    ids,
    links: new Set([...html.matchAll(/<a [^>]*?href="([^"]+)"/g)].map(([, href]) => decode(href))),
  });
}

const broken = [];
const count = [...pages.values()].reduce((sum, { links }) => sum + links.size, 0);
for (const [from, { links }] of pages)
  for (const href of links) {
    const { host, pathname, hash } = new URL(href, `http://site${from}`);
    const target = pages.get(decodeURI(pathname).replace(/(index)?\.html$/, ""));
    const file = /\.(?!html$)\w+$/.test(pathname);
    if (host !== "site" || file) continue;
    if (!target) broken.push(`${from}: no page ${href}`);
    else if (hash && !target.ids.has(decodeURIComponent(hash.slice(1))))
      broken.push(`${from}: no heading ${href}`);
  }
if (pages.size === 0) broken.push("no page was built");
if (broken.length > 0) {
  console.error(`${broken.length} links lead nowhere:\n${broken.join("\n")}`);
  process.exit(1);
}
console.log(`${count} links on ${pages.size} pages lead somewhere`);

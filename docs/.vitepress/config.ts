import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";
import { apiLinks } from "./api-links.ts";
import { offSite, repository, siteLinks } from "./links.mjs";
import { modules, sidebar } from "./sidebar.ts";

const icon =
  "data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22><circle cx=%228%22 cy=%228%22 r=%226%22 fill=%22none%22 stroke=%22%23d55e00%22 stroke-width=%222%22/><circle cx=%228%22 cy=%228%22 r=%222%22 fill=%22%230072b2%22/></svg>";

/** The schema of certificates, at the address that is its `$id`. */
const schema = fileURLToPath(
  new URL("../../packages/smoothing-certify/certificate.schema.json", import.meta.url),
);

export default defineConfig({
  title: "dmae",
  description: "Provably robust image classifiers for JavaScript and TypeScript",
  head: [["link", { rel: "icon", href: icon }]],
  cleanUrls: true,
  metaChunk: true, // the list of all pages is one file, and not 60 kB in each page
  lastUpdated: false,
  srcExclude: offSite,
  buildEnd: ({ outDir }) => copyFile(schema, join(outDir, "certificate-1.schema.json")),
  vite: { build: { chunkSizeWarningLimit: 4000 } }, // the search index, loaded when one searches
  markdown: { math: true, config: (md) => md.use(siteLinks).use(apiLinks, modules) },
  themeConfig: {
    nav: [
      { text: "Guide", link: "/guide/certificate" },
      { text: "Start", link: "/start/wrap" },
      { text: "Playground", link: "/playground" },
      { text: "Results", link: "/results" },
      { text: "API", link: "/api/" },
    ],
    sidebar,
    outline: [2, 3],
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: repository }],
    editLink: { pattern: `${repository}/edit/main/docs/:path`, text: "Edit this page" },
  },
});

import { existsSync, readFileSync } from "node:fs";
import { type DefaultTheme, defineConfig } from "vitepress";
import { repository, siteLinks } from "./links.mjs";

const pages = (folder: string, titles: Record<string, string>): DefaultTheme.SidebarItem[] =>
  Object.entries(titles).map(([file, text]) => ({ text, link: `/${folder}${file}` }));

const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: "Guide",
    items: pages("guide/", { certificate: "What a certificate says" }),
  },
  { text: "Try it", items: pages("", { playground: "Playground" }) },
  {
    text: "How it works",
    items: pages("", {
      equations: "Equation by equation",
      architecture: "Architecture",
      robustness: "Robustness",
    }),
  },
  {
    text: "Results",
    items: pages("", { benchmarks: "Benchmarks", recipes: "Recipes", gpu: "On a GPU" }),
  },
  {
    text: "Decisions",
    collapsed: true,
    items: pages("decisions/", {
      certification: "Certification",
      compiling: "Compiling",
      "int8-training": "int8 training",
      "kernels-and-gradients": "Kernels and gradients",
      locks: "Locks",
      "native-tensorflow": "Native TensorFlow",
      "random-numbers": "Random numbers",
      "reading-checkpoints": "Reading checkpoints",
      "training-runs": "Training runs",
      "written-by-hand": "Written by hand",
    }),
  },
];

/** Written by TypeDoc, which `npm run docs` runs first. */
const apiSidebar = new URL("../api/typedoc-sidebar.json", import.meta.url);
const api = existsSync(apiSidebar) ? JSON.parse(readFileSync(apiSidebar, "utf8")) : [];

export default defineConfig({
  title: "dmae",
  description: "Provably robust image classifiers for JavaScript and TypeScript",
  base: process.env.DOCS_BASE ?? "/", // GitHub Pages serves a project below its name
  cleanUrls: true,
  lastUpdated: false,
  srcExclude: ["api-report.md"],
  markdown: { math: true, config: (md) => md.use(siteLinks) },
  themeConfig: {
    nav: [
      { text: "Guide", link: "/guide/certificate" },
      { text: "Playground", link: "/playground" },
      { text: "Results", link: "/benchmarks" },
      { text: "API", link: "/api/" },
    ],
    sidebar: { "/": sidebar, "/api/": [{ text: "API", items: api }] },
    outline: [2, 3],
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: repository }],
    editLink: { pattern: `${repository}/edit/main/docs/:path`, text: "Edit this page" },
  },
});

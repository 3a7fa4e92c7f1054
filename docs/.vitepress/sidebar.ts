import { existsSync, readFileSync } from "node:fs";
import type { DefaultTheme } from "vitepress";

const pages = (folder: string, titles: Record<string, string>): DefaultTheme.SidebarItem[] =>
  Object.entries(titles).map(([file, text]) => ({ text, link: `/${folder}${file}` }));

const guide: DefaultTheme.SidebarItem[] = [
  {
    text: "Robustness that is proved",
    items: [
      ...pages("guide/", { certificate: "What a certificate says" }),
      ...pages("", { playground: "Playground" }),
      ...pages("guide/", {
        guarantee: "The guarantee, exactly",
        logs: "Runs and logs",
        "fewer-samples": "Fewer samples",
        "more-certificates": "Other certificates",
        "certificate-file": "A certificate as a file",
        server: "In a server",
        int8: "int8 and certificates",
        kernels: "Generated kernels",
      }),
    ],
  },
  {
    text: "Start",
    items: pages("start/", {
      wrap: "Wrap your classifier",
      dataset: "Certify a data set",
      train: "Train on your images",
      shipped: "Use a shipped model",
      browser: "In the browser",
      card: "On a card",
      cluster: "On a cluster",
    }),
  },
  {
    text: "How it works",
    items: pages("", {
      equations: "Equation by equation",
      architecture: "Architecture",
      distributed: "On many processes",
      robustness: "Robustness",
    }),
  },
  {
    text: "Results",
    items: pages("", {
      results: "Fashion-MNIST",
      "training-curves": "Training curves",
      benchmarks: "Benchmarks",
      recipes: "Recipes",
      gpu: "On a GPU",
    }),
  },
  {
    text: "Decisions",
    collapsed: true,
    items: pages("decisions/", {
      cards: "Cards",
      certification: "Certification",
      compiling: "Compiling",
      "int8-training": "int8 training",
      "kernels-and-gradients": "Kernels and gradients",
      distributed: "Many processes",
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
const written = new URL("../api/typedoc-sidebar.json", import.meta.url);

/** The pages of the API: for each module, groups such as "Functions" with their names. */
export const modules: DefaultTheme.SidebarItem[] = existsSync(written)
  ? JSON.parse(readFileSync(written, "utf8"))
  : [];

const links = (items: DefaultTheme.SidebarItem[]) =>
  items.map(({ text, link }) => ({ text, link }));
const partsOf = (name = "") => modules.filter(({ text }) => text?.startsWith(`${name}/`));

/** The pages of a module list that module alone: all names at once are 100 kB on each page. */
const apiSidebars: DefaultTheme.SidebarMulti = Object.fromEntries(
  modules.map(({ text, link = "", items }) => [
    link,
    [{ text: "All packages", link: "/api/" }, { text, link, items }, ...links(partsOf(text))],
  ]),
);

export const sidebar: DefaultTheme.SidebarMulti = {
  "/": guide,
  "/api/": [{ text: "Packages", items: links(modules) }],
  ...apiSidebars,
};

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const inside = (folder: string, file: string) =>
  readdirSync(root + folder).map((name) => `${folder}/${name}${file}`);
const pages = [
  "README.md",
  ...inside("packages", "/README.md").filter((file) => existsSync(root + file)),
  ...inside("docs/start", "").filter((file) => file.endsWith(".md")),
];

/** The package of a module: `@dmae/core/random` is part of `@dmae/core`. */
const packageOf = (module: string) => /^(?:@[^/]+\/)?[^/]+/.exec(module)![0];

it.each(pages)("%s installs every package that its programs import", (page) => {
  const text = readFileSync(root + page, "utf8");
  const programs = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!).join("\n");
  const imported = [...programs.matchAll(/from "(?!node:|\.)([^"]+)"/g)].map(([, name]) =>
    packageOf(name!),
  );
  const lines = [...text.matchAll(/npm install((?:[^\n`]*\\\n)*[^\n`]*)/g)];
  const installed = new Set(lines.flatMap(([, names]) => names!.split(/[\s)]+/)));
  expect([...new Set(imported)].filter((name) => !installed.has(name))).toEqual([]);
});

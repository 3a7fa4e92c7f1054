import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const inside = (folder: string) =>
  readdirSync(join(root, folder)).map((name) => (folder ? `${folder}/${name}` : name));
const folders = ["", ".changeset", "docs", ...["docs", "packages", "examples"].flatMap(inside)];
const files = folders
  .filter((folder) => statSync(join(root, folder)).isDirectory())
  .flatMap(inside)
  .filter((file) => file.endsWith(".md"));

/** Where a Markdown file links to, without code and without addresses of the web. */
const targets = (text: string) =>
  [
    ...text
      .replace(/```[\s\S]*?```|`[^`\n]*`/g, "")
      .matchAll(/\]\((?![a-z]+:|[#/])([^)\s#]+)|<img src="(?!http)([^"]+)"/g),
  ].map(([, link, image]) => link ?? image!);

it("every relative link of a Markdown file leads to a file", () => {
  const broken = files.flatMap((file) =>
    targets(readFileSync(join(root, file), "utf8"))
      .filter((target) => !existsSync(join(root, dirname(file), decodeURI(target))))
      .map((target) => `${file}: ${target}`),
  );
  expect(files.length).toBeGreaterThan(30);
  expect(broken).toEqual([]);
});

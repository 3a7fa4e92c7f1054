import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { expectReadmeExample } from "../../../testing/readme.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";

const temporary = temporaryFolders("dmae-reproduce");

test("the example of the README runs every stage", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const folder = temporary();
  const before = process.cwd();
  process.chdir(folder);
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  process.chdir(before);
  vi.restoreAllMocks();
  const report = readFileSync(join(folder, "runs/my-cr-0.25-smoke/report.html"), "utf8");
  expect(report).toContain("not comparable with the paper");
});

import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { writePhotos } from "../../testing/image-folder.ts";
import { runPageProgram } from "../../testing/page-program.ts";
import { temporaryFolders } from "../../testing/temporary-folder.ts";

const scratch = temporaryFolders("dmae-guide");
const before = process.cwd();
const here = (path: string) => new URL(path, import.meta.url);
const run = (page: string, example: string, load: () => Promise<unknown>) =>
  runPageProgram(here(`${page}.md`), here(`${example}.example.ts`), load);

beforeEach(() => process.chdir(scratch()));
afterEach(() => {
  process.chdir(before);
  vi.restoreAllMocks();
});

it("answers requests, with a radius that grows", async () => {
  const printed = await run("server", "server", () => import("./server.example.ts"));
  const radii = printed.map((line) => line.at(-1) as number);
  expect(printed[0]![0]).toBeOneOf([9, -1]); // an ankle boot, or too little time
  const streamed = radii.slice(1);
  expect(streamed).toEqual(streamed.toSorted((a, b) => a - b));
  expect(streamed.at(-1)).toBeGreaterThan(0.4);
});

it("issues a signed certificate and checks it", async () => {
  copyFileSync(join(await writePhotos(scratch(), { perClass: 1 }), "class-0", "0.jpg"), "shoe.jpg");
  const load = () => import("./certificate-file.example.ts");
  const [printed] = await run("certificate-file", "certificate-file", load);
  expect(printed![0]).toMatchObject({
    isInputChecked: true,
    isRecounted: true,
    signature: "trusted",
  });
  expect(JSON.parse(readFileSync("certificate.json", "utf8"))).toBeTypeOf("object");
});

it("certifies against patches", async () => {
  const [printed] = await run("more-certificates", "patch", () => import("./patch.example.ts"));
  expect(printed![0]).toContain("model");
});

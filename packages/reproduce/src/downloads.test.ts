import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { saveSafetensors } from "@dmae/checkpoint";
import { download } from "@dmae/checkpoint/downloads";
import { key } from "@dmae/core";
import { createDmae } from "@dmae/pretrain";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { sendFile, startServer, type TestServer } from "../../../testing/http-server.ts";
import { type Downloads, officialDownloads } from "./downloads.ts";
import { decoderOf } from "./model.ts";
import type { Recipe } from "./recipe.ts";
import { reproduce } from "./reproduce.ts";
import { smokeRecipe } from "./smoke.ts";
import { jsonLines, temporaryFolder, writeBinary } from "./testing/image-files.ts";
import { testRecipes } from "./testing/recipes.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let server: TestServer;
const at = (...parts: string[]) => join(place.folder, ...parts);

// A fine-tuning as small as a smoke run, whose start its authors publish.
const tiny: Recipe = {
  ...smokeRecipe(testRecipes.cr!, 10),
  name: "tiny",
  startsFrom: "mae-vit-b-imagenet-pretrain",
} as Recipe;
const recipes = {
  tiny,
  orphan: { ...testRecipes.cr!, name: "orphan" },
  imagenet: { ...testRecipes.probe!, startsFrom: "dmae-vit-b-imagenet-pretrain" } as Recipe,
  large: { ...testRecipes.cr!, startsFrom: "dmae-vit-l-imagenet-pretrain" } as Recipe,
};

beforeAll(async () => {
  place = await temporaryFolder();
  await writeBinary(at("origin"));
  const params = createDmae(decoderOf(tiny)).initHost(key(5));
  await saveSafetensors(at("origin", "weights.pth"), params);
  const cut = new Set<string>();
  server = await startServer(async (request, response, state) => {
    const name = request.url!.slice(1);
    const body = await readFile(at("origin", name));
    const once = cut.has(name) ? {} : { cutAfter: Math.floor(body.length / 2) };
    cut.add(name);
    sendFile(request, response, state, body, { etag: '"1"', ...once });
  });
});
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  await server.close();
  await place.dispose();
});

/** Fetches from the local server, which cuts the first connection of every file. */
const local: Downloads = {
  cifar10: async (options) => {
    const names = (await readdir(at("origin"))).filter((name) => name.endsWith(".bin"));
    for (const name of names) await fetchFile(name, at("cache", "binary", name), options);
    return at("cache", "binary");
  },
  checkpoint: (name, options) => fetchFile("weights.pth", at("cache", `${name}.pth`), options),
};

async function fetchFile(name: string, to: string, options: object): Promise<string> {
  const sha256 = createHash("sha256")
    .update(await readFile(at("origin", name)))
    .digest("hex");
  return download(`${server.url}${name}`, { ...options, to, sha256 });
}

async function run(downloads: Downloads, ...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  await reproduce({ name: "test", recipes, runs: at("runs"), say, downloads }, args);
  return lines;
}

test("--download fetches images and checkpoint over cut connections, then trains from them", async () => {
  const args = ["--recipe", "tiny", "--folder", at("run"), "--workers", "0", "--stage", "finetune"];
  const lines = await run(local, ...args, "--download");
  const ranges = server.requests.map(({ range }) => range !== undefined);
  expect(ranges.filter(Boolean)).toHaveLength(7); // every file was cut once and went on
  expect(
    lines.some((line) => line.startsWith("mae_pretrain_vit_base") && line.includes(at("cache"))),
  ).toBe(true);
  expect(await readdir(at("cache"))).toEqual(["binary", "mae_pretrain_vit_base.pth"]);
  const log = await jsonLines(at("run", "log.jsonl"));
  expect(log.find(({ event }) => event === "parameters")?.created).toEqual(
    expect.arrayContaining(["head.weight"]),
  );
  expect((await stat(at("run", "finetune", "model.safetensors"))).size).toBeGreaterThan(0);
  const before = server.requests.length;
  await run(local, ...args, "--download");
  expect(server.requests).toHaveLength(before); // nothing twice
});

test("without --recipe everything is fetched and nothing runs", async () => {
  const asked: string[] = [];
  const downloads: Downloads = {
    cifar10: async () => `${asked.push("cifar10")}`,
    checkpoint: async (name) => `${asked.push(name)}`,
  };
  vi.stubEnv("DMAE_CACHE", at("registered"));
  for (const split of ["train", "val"])
    await mkdir(at("registered", "imagenet", split), { recursive: true });
  await run(downloads, "--download");
  expect(asked.sort()).toEqual(["cifar10", "dmae_base", "dmae_large", "mae_pretrain_vit_base"]);
});

test("what needs a browser is named with link, size and place, all at once", async () => {
  vi.stubEnv("DMAE_CACHE", at("empty"));
  const failure = await run(officialDownloads, "--download", "--recipe", "imagenet").catch(
    (e) => e,
  );
  expect(failure).toMatchObject({ code: "unsupported" });
  for (const text of [
    "https://image-net.org/download-images.php",
    "ILSVRC2012_img_train.tar      147,897,477,120 bytes, MD5 1d675b47d978889d74fa0da5fadfb00e",
    at("empty", "imagenet", "train", "<synset>"),
    "427 MB",
    "https://1drv.ms/u/s!AnxRCBR6qpJqiiyVY-qxN_AKNwhA?e=Xb6mlj",
    at("empty", "dmae_base.pth"),
  ])
    expect(failure.message).toContain(text);
  await mkdir(at("empty"), { recursive: true });
  await writeFile(at("empty", "dmae_base.pth"), "in place");
  const again = await run(officialDownloads, "--download", "--recipe", "imagenet").catch((e) => e);
  expect(again.message).not.toContain("1drv.ms");
});

test("what is named on the command line is not fetched; a dry run says what would be", async () => {
  const none: Downloads = {
    cifar10: () => Promise.reject(new Error("fetched images")),
    checkpoint: () => Promise.reject(new Error("fetched a checkpoint")),
  };
  const lines = await run(none, "--download", "--recipe", "large", "--dry-run", "--no-measure");
  expect(lines.at(-1)).toBe("--download        cifar10, dmae_large");
  const named = ["--data", at("nowhere"), "--from", at("nothing")];
  await expect(run(none, "--download", "--recipe", "large", ...named)).rejects.toThrow(/nowhere/);
});

test("a start that nobody publishes is refused before anything is fetched", async () => {
  const none: Downloads = {
    cifar10: () => Promise.reject(new Error("fetched images")),
    checkpoint: () => Promise.reject(new Error("fetched a checkpoint")),
  };
  await expect(run(none, "--download", "--recipe", "orphan")).rejects.toMatchObject({
    code: "argument",
    message:
      "--download: orphan begins with the result of pretraining, which nobody publishes; run that recipe first and name its run folder with --from",
  });
});

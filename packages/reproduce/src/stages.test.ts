import { createHash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeSafetensors, loadCheckpoint, saveSafetensors } from "@dmae/checkpoint";
import { DmaeError } from "@dmae/core";
import { lockFile } from "@dmae/core/files";
import { mergeLogs, readLog } from "@dmae/smoothing-certify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { convert } from "./convert.ts";
import { reproduce } from "./reproduce.ts";
import { explained } from "./run.ts";
import { startOf } from "./start.ts";
import { failure } from "./testing/failure.ts";
import {
  jsonLines,
  temporaryFolder,
  writeBinary,
  writeImageFolder,
} from "./testing/image-files.ts";
import { testRecipes } from "./testing/recipes.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (...parts: string[]) => join(place.folder, ...parts);
beforeAll(async () => {
  place = await temporaryFolder();
  process.env.DMAE_CACHE = at("cache");
  await writeImageFolder(at("images"));
  await writeBinary(at("binary"));
  await convert(["--from", at("images"), "--to", at("shards"), "--side", "32"]);
});
afterAll(() => place.dispose());

async function run(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  await reproduce(
    { name: "test", recipes: testRecipes, runs: at("runs"), say: (line) => lines.push(line) },
    args,
  );
  return lines;
}

const smoke = (recipe: string, folder: string, ...args: string[]) =>
  run("--recipe", recipe, "--smoke", "--folder", at(folder), ...args);

test("class folders and tar shards of the same files give the same parameters, to the bit", async () => {
  await smoke("pretraining", "from-folder", "--data", at("images"));
  await smoke("pretraining", "from-shards", "--data", at("shards"));
  const bytes = (run: string) => readFile(at(run, "pretrain", "model.safetensors"));
  expect((await bytes("from-folder")).equals(await bytes("from-shards"))).toBe(true);
});

test("a run goes from one recipe's folder to the next, with its optimizer", async () => {
  await smoke("pretraining", "first", "--data", at("images"));
  await smoke(
    "continuing",
    "second",
    "--data",
    at("binary"),
    "--from",
    at("first"),
    "--set",
    "model.imageSize=32",
  );
  await smoke(
    "cr",
    "third",
    "--data",
    at("binary"),
    "--from",
    at("second"),
    "--set",
    "model.imageSize=32",
  );
  const start = (await startOf(testRecipes.continuing!, at("first"), undefined))!;
  const { initialOptimizer } = await start.whole();
  await start.close();
  const last = decodeSafetensors(await readFile(at("first", "pretrain", "last.safetensors")));
  expect(initialOptimizer?.step).toBe(2); // 16 images in micro-batches of 4, two an update
  for (const slot of ["exp_avg.mask_token", "exp_avg_sq.blocks.0.attn.qkv.weight"])
    expect(initialOptimizer?.tensors[slot]?.data).toEqual(last.tensors[`optimizer.${slot}`]?.data);
  expect(initialOptimizer?.tensors["exp_avg.mask_token"]?.data.some((value) => value !== 0)).toBe(
    true,
  );
  const log = await jsonLines(at("third", "log.jsonl"));
  expect(log.find((line) => line.event === "parameters")?.created).toEqual([
    "head.weight",
    "head.bias",
    "fc_norm.weight",
    "fc_norm.bias",
  ]);
  expect(log.filter((line) => line.event === "epoch")).toHaveLength(1);
});

test("an official training checkpoint is continued with its optimizer, and fine-tuned", async () => {
  const file = fileURLToPath(
    new URL("../../../packages/checkpoint/src/__fixtures__/pretrain-3.pth", import.meta.url),
  ); // three steps of quanlin-wu/dmae, 24 wide
  const start = (await startOf(testRecipes.continuing!, file, undefined))!;
  const { initialOptimizer } = await start.whole();
  await start.close();
  expect(initialOptimizer?.step).toBe(3);
  expect(Object.keys(initialOptimizer!.tensors)).toContain("exp_avg_sq.decoder_pred.weight");
  const encoder = ["width=24", "heads=3", "patchSize=16", "imageSize=224"];
  const decoder = ["decoderWidth=16", "decoderDepth=2"];
  const set = (fields: readonly string[]) => fields.flatMap((field) => ["--set", `model.${field}`]);
  const data = ["--data", at("binary"), "--from", file];
  await smoke("continuing", "official", ...data, ...set([...encoder, ...decoder]));
  await smoke("cr", "official-cr", ...data, ...set(encoder), "--stage", "finetune");
  const log = await jsonLines(at("official", "continue", "log.jsonl"));
  expect(log.filter((line) => line.kind === "step")).toHaveLength(5);
});

test("shards certify what one process certifies, and the report puts them together", async () => {
  const settings = ["--data", at("binary"), "--set", "certification.every=2"];
  await smoke("cr", "whole", ...settings);
  await smoke("cr", "parts", ...settings, "--stage", "finetune");
  const shards = (stage: string) =>
    ["0/2", "1/2"].map((shard) => ["--stage", stage, "--shard", shard]);
  await Promise.all(shards("evaluate").map((stage) => smoke("cr", "parts", ...settings, ...stage)));
  const measured = await jsonLines(at("parts", "evaluate", "parts.jsonl"));
  expect(measured.map(({ what }) => what)).toEqual(["clean", "noisy", "vote"]);
  for (const stage of shards("certify")) await smoke("cr", "parts", ...settings, ...stage);
  await smoke("cr", "parts", ...settings, "--stage", "report");
  const names = (await readdir(at("parts", "certify"))).map((name) => at("parts", "certify", name));
  expect(names).toHaveLength(2);
  const votes = (rows: Awaited<ReturnType<typeof readLog>>) =>
    rows.map(({ idx, predict, radius, counts0, counts }) => ({
      idx,
      predict,
      radius,
      counts0,
      counts,
    }));
  const whole = await readLog(at("whole", "certify", "sigma-0.25.tsv"));
  expect(votes(await mergeLogs(names))).toEqual(votes(whole));
  expect(whole.map(({ idx }) => idx)).toEqual([0, 2, 4, 6]);
  expect(await readFile(at("parts", "report.html"), "utf8")).toContain("<td>4</td>");
});

test("a finished run does nothing again", async () => {
  const lines = await smoke("probe", "again", "--data", at("images"));
  expect(lines.some((line) => line.startsWith("probe:"))).toBe(true);
  const log = await readFile(at("again", "certify", "sigma-0.25.tsv"), "utf8");
  const second = await smoke("probe", "again", "--data", at("images"));
  expect(second).toContainEqual(expect.stringContaining("probe: done before"));
  expect(await readFile(at("again", "certify", "sigma-0.25.tsv"), "utf8")).toBe(log);
});

test("with emaDecay the averaged weights are evaluated and certified", async () => {
  await smoke("averaged", "averaged", "--data", at("binary"));
  const bytes = await readFile(at("averaged", "finetune", "averaged.safetensors"));
  const model = `averaged@${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}`;
  const parts = await jsonLines(at("averaged", "evaluate", "parts.jsonl"));
  expect(new Set(parts.map((part) => part.model))).toEqual(new Set([model]));
  const [row] = await readLog(at("averaged", "certify", "sigma-0.25.tsv"));
  expect(row!.settings?.model).toBe(model);
  expect(await readFile(at("averaged", "report.html"), "utf8")).toContain(model);
  await rm(at("averaged", "finetune", "averaged.safetensors")); // killed between the two files
  const again = await smoke("averaged", "averaged", "--data", at("binary"));
  expect(again.join()).not.toContain("done before");
  expect(bytes.equals(await readFile(at("averaged", "finetune", "averaged.safetensors")))).toBe(
    true,
  );
});

test("a damaged JPEG is named, counted and replaced", async () => {
  await writeImageFolder(at("damaged"));
  await writeFile(at("damaged", "train", "n00000001", "3.JPEG"), "no image");
  const lines = await smoke(
    "pretraining",
    "of-damaged",
    "--data",
    at("damaged"),
    "--set",
    "epochs=2",
  );
  expect(lines.filter((line) => line.includes("3.JPEG"))).toHaveLength(1);
  const log = await jsonLines(at("of-damaged", "log.jsonl"));
  expect(log.find((line) => line.event === "end")?.damaged).toBe(1);
});

test("a log that cannot be written stops no training, and is told", async () => {
  await writeImageFolder(at("worn"));
  await writeFile(at("worn", "train", "n00000001", "3.JPEG"), "no image");
  const [folder, lines] = [at("of-worn"), [] as string[]];
  const say = (line: string) => {
    lines.push(line);
    if (!line.includes("3.JPEG")) return;
    rmSync(join(folder, "log.jsonl"));
    mkdirSync(join(folder, "log.jsonl")); // no line can be added to a folder
  };
  const args = ["--recipe", "pretraining", "--smoke", "--folder", folder, "--data", at("worn")];
  const work = reproduce({ name: "test", recipes: testRecipes, runs: at("runs"), say }, args);
  expect(await failure(work)).toMatchObject({
    code: "file",
    message: expect.stringContaining("EISDIR"),
  });
  expect(lines).toContainEqual(
    expect.stringMatching(
      /^pretrain: the training goes on, though its log cannot be written: .*EISDIR/,
    ),
  );
  expect(await readdir(join(folder, "pretrain"))).toContain("model.safetensors");
});

test("missing data, a wrong folder and data of other classes are errors of one sentence", async () => {
  expect((await failure(smoke("cr", "e1", "--data", at("nowhere")))).message).toContain(
    "cannot read",
  );
  await mkdir(at("empty"), { recursive: true });
  const empty = await failure(smoke("cr", "e2", "--data", at("empty")));
  expect(empty).toMatchObject({
    code: "file",
    message: expect.stringContaining("it holds nothing"),
  });
  const none = await failure(run("--recipe", "cr", "--folder", at("e3")));
  expect(none.message).toContain("--data: cr needs the folder of its images");
  const classes = await failure(
    run("--recipe", "cr", "--folder", at("e4"), "--data", at("images")),
  );
  expect(classes.message).toContain("has 2 classes, cr is for 10");
  expect(
    (await failure(run("--recipe", "cr", "--folder", at("e5"), "--data", at("binary")))).message,
  ).toContain("--from: cr begins with the result of pretraining");
  expect((await failure(smoke("cr", "e6", "--backend", "compiled:cdua"))).message).toContain(
    "compiled:cuda",
  );
  expect((await failure(smoke("cr", "e7", "--stage", "pretrain"))).code).toBe("argument");
});

test("a checkpoint of another architecture is refused by name and shape", async () => {
  await smoke("pretraining", "narrow", "--data", at("images"), "--set", "model.width=8");
  const wrong = failure(smoke("cr", "e8", "--data", at("binary"), "--from", at("narrow")));
  expect(await wrong).toMatchObject({
    code: "checkpoint",
    message: expect.stringContaining("cls_token"),
  });
  await saveSafetensors(at("foreign.safetensors"), {
    x: { dtype: "float32", shape: [1], data: Float32Array.of(1) },
  });
  const foreign = failure(
    smoke("cr", "e9", "--data", at("binary"), "--from", at("foreign.safetensors")),
  );
  expect(await foreign).toMatchObject({ code: "checkpoint" });
});

test("a run folder of other settings is refused with the fields that differ", async () => {
  await smoke("pretraining", "claimed", "--data", at("images"));
  const other = await failure(
    smoke("pretraining", "claimed", "--data", at("images"), "--set", "maskRatio=0.5"),
  );
  expect(other).toMatchObject({
    code: "resume",
    message: expect.stringContaining("training.maskRatio: 0.75 -> 0.5"),
  });
});

test("a loss that becomes NaN stops the run at its step and keeps the last good checkpoint", async () => {
  const nan = await failure(
    smoke(
      "pretraining",
      "nan",
      "--data",
      at("images"),
      "--set",
      "baseLearningRate=1e30",
      "--set",
      "warmupEpochs=0",
      "--set",
      "epochs=3",
      "--checkpoint-every",
      "0.25",
    ),
  );
  expect(nan.code).toBe("numeric");
  const step = Number(/in step (\d+)|after step (\d+)/.exec(nan.message)?.slice(1).find(Boolean));
  expect(step).toBeGreaterThan(0);
  const checkpoint = await loadCheckpoint(at("nan", "pretrain", "last.safetensors"));
  expect(checkpoint.names.length).toBeGreaterThan(0);
  expect(Number(checkpoint.metadata.step)).toBeLessThanOrEqual(step);
  await checkpoint.close();
  expect((await jsonLines(at("nan", "log.jsonl"))).at(-1)).toMatchObject({ event: "error" });
});

test("one process at a time writes to a run folder; shards of it go on", async () => {
  await mkdir(at("shared"), { recursive: true });
  const lock = await lockFile(at("shared", "run.lock"), { caller: "test", guarded: "shared" });
  const work = (...args: string[]) =>
    smoke("pretraining", "shared", "--data", at("images"), "--stage", "report", ...args);
  const second = await failure(work());
  expect(second).toMatchObject({
    code: "resume",
    message: expect.stringMatching(/^run folder: .*shared is being written by/),
  });
  expect(await readdir(at("shared"))).toEqual(["run.lock"]);
  const shard = await work("--shard", "0/2").catch((error: Error) => [error.message]);
  expect(shard.join()).not.toContain("is being written by");
  await lock.release();
});

test.skipIf(process.platform !== "linux")("a full disk is told as such", async () => {
  await mkdir(at("full"), { recursive: true });
  await symlink("/dev/full", at("full", "log.jsonl"));
  const full = await failure(smoke("pretraining", "full", "--data", at("images")));
  expect(full).toMatchObject({ code: "file", message: expect.stringContaining("is full") });
  await rm(at("full"), { recursive: true });
});

test("a full disk is recognised behind the error of a checkpoint", () => {
  const system = Object.assign(new Error("no space left on device"), {
    code: "ENOSPC",
    syscall: "write",
  });
  const wrapped = new DmaeError("file", "saveSafetensors: cannot write x", {}, { cause: system });
  expect((explained(wrapped, "runs/x") as Error).message).toContain("the disk of runs/x is full");
  const other = new DmaeError("numeric", "fit: loss must be finite");
  expect(explained(other, "runs/x")).toBe(other);
});

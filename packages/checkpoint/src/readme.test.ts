import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import * as downloads from "./downloads.ts";
import * as checkpointPackage from "./index.ts";
import * as resume from "./resume.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "readme-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The blocks of TypeScript in the README, in order, as bodies of functions. */
async function blocks(): Promise<string[]> {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const found = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1]!);
  return found.map((code) => code.replace(/^import .*$/gm, ""));
}

test("the first example runs, and its numbers are those of its file", async () => {
  const [first] = await blocks();
  const weights = new URL("./__fixtures__/pretrain-3.pth", import.meta.url);
  await copyFile(weights, join(folder, "checkpoint-799.pth"));
  const code = first!.replace(/"([\w-]+\.(?:pth|safetensors))"/g, (_, name) =>
    JSON.stringify(join(folder, name)),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const { loadCheckpoint, saveSafetensors } = checkpointPackage;
  const run = new Function(
    ...["loadCheckpoint", "saveSafetensors"],
    `return (async () => {${code}; return weights;})()`,
  );
  const read = await run(loadCheckpoint, saveSafetensors);
  expect(log).toHaveBeenCalledWith(62, { dtype: "float32", shape: [1, 197, 24] });
  log.mockRestore();
  const saved = await loadCheckpoint(join(folder, "model.safetensors"));
  expect(await saved.readAll()).toEqual(read);
  expect(saved.metadata.epoch).toBe("0");
  expect(JSON.parse(saved.metadata.args!)).toMatchObject({ norm_pix_loss: true });
  await saved.close();
});

test("the second example runs", async () => {
  const [, second] = await blocks();
  const url = new URL("./__fixtures__/pretrain-3.pth", import.meta.url);
  const checkpoint = await checkpointPackage.loadCheckpoint(url);
  const { optimizerState, weightDecayGroups } = resume;
  const run = new Function(
    ...["checkpoint", "optimizerState", "weightDecayGroups"],
    `return (async () => {${second}; return [tensors["exp_avg.cls_token"], step];})()`,
  );
  const [moment, step] = await run(checkpoint, optimizerState, weightDecayGroups);
  expect(moment.shape).toEqual([1, 1, 24]);
  expect(step).toBe(3);
  await checkpoint.close();
});

test("every exported function is in the README", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  for (const name of Object.keys({ ...checkpointPackage, ...downloads, ...resume }))
    expect(readme).toContain(`\`${name}`);
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryFolder, writeBinary, writeImageFolder } from "./testing/image-files.ts";
import { startProcess } from "./testing/process.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
const at = (...parts: string[]) => join(place.folder, ...parts);
beforeAll(async () => {
  place = await temporaryFolder();
  await writeBinary(at("binary"));
  await writeImageFolder(at("images"));
});
afterAll(() => place.dispose());

const model = (folder: string, task: string) => readFile(at(folder, task, "model.safetensors"));

test.each([
  ["pretraining", "pretrain", "images", []],
  ["continuing", "continue", "binary", []],
  ["cr", "finetune", "binary", ["--set", 'method={"name":"gaussian"}']], // RS
  ["probe", "probe", "images", []],
] as const)(
  "%s, killed twice in training, ends with the same bits",
  async (recipe, task, data, settings) => {
    const run = (folder: string, until?: string) => {
      const args = ["--recipe", recipe, "--smoke", "--data", at(data), "--folder", at(folder)];
      const more = [
        "--checkpoint-every",
        "0.25",
        "--stage",
        task,
        "--set",
        "epochs=2",
        ...settings,
      ];
      return startProcess([...args, ...more], { cache: at("cache"), until });
    };
    await run(`${task}-straight`);
    await run(`${task}-killed`, `${task} 2/`);
    await run(`${task}-killed`, `${task} 6/`);
    await run(`${task}-killed`);
    const [straight, killed] = [
      await model(`${task}-straight`, task),
      await model(`${task}-killed`, task),
    ];
    expect(killed.equals(straight)).toBe(true);
  },
  180_000,
);

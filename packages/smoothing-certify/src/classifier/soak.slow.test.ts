import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { soakImages, soakOptions } from "../__fixtures__/soak-images.ts";
import { openWrappers, type Wrapper } from "../__fixtures__/wrappers.ts";
import { readLog } from "../log/log-file.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";

const folder = temporaryFolders("soak");
let wrappers: Wrapper[];
beforeAll(async () => {
  wrappers = await openWrappers(folder());
});
afterAll(async () => {
  for (const wrapper of wrappers) await wrapper.dispose();
});

const [images, options] = [soakImages, soakOptions];

/** The votes of a run that is stopped by a signal, or left, until it is complete; each start goes on with its log. */
async function interrupted(wrapper: Wrapper, draw: () => number): Promise<unknown[]> {
  const log = join(folder(), "log.tsv");
  for (let attempt = 1; ; attempt++) {
    const signal = AbortSignal.timeout(Math.ceil(1000 * attempt * draw()));
    const leave = draw() < 0.3 ? Math.floor(9 * draw()) : images.length;
    const batchSize = 1 + Math.floor(40 * draw());
    const votes = [];
    try {
      const run = { ...options, log, signal, batchSize };
      for await (const { idx, counts0, counts } of certifyDataset(
        wrapper.classifier,
        images,
        run,
      )) {
        votes.push({ idx, counts0, counts });
        if (votes.length > leave) break;
      }
      if (votes.length === images.length) return votes.sort((a, b) => a.idx - b.idx);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** The votes of each wrapper in a run of its own. */
async function votesAlone(): Promise<Map<string, unknown[]>> {
  const alone = new Map<string, unknown[]>();
  for (const { name, classifier } of wrappers) {
    const votes = [];
    for await (const { idx, counts0, counts } of certifyDataset(classifier, images, options))
      votes.push({ idx, counts0, counts });
    alone.set(name, votes);
  }
  return alone;
}

it("no vote differs from a run alone, whatever runs beside it and is stopped", async () => {
  const draw = generator(key("soak"));
  const alone = await votesAlone();
  for (let round = 0; round < 2; round++) {
    const runs = [...wrappers, ...wrappers].map(async (wrapper) => {
      expect([wrapper.name, await interrupted(wrapper, draw)]).toEqual([
        wrapper.name,
        alone.get(wrapper.name),
      ]);
    });
    await Promise.all(runs);
  }
});

/** Runs all wrappers in a process of their own and kills it after `delay` ms. True where it ended by itself. */
async function ended(into: string, delay: number): Promise<boolean> {
  const program = fileURLToPath(new URL("../__fixtures__/soak-run.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", program, into], {
    cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
    env: { ...process.env, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), delay));
  const [code, signal] = await once(child, "close");
  if (code !== 0 && signal !== "SIGKILL") throw new Error(`soak-run: exit ${code}`);
  return code === 0;
}

it("no vote differs when all of them run at once in a process that is killed until it ends", async () => {
  const draw = generator(key("kills"));
  const into = folder();
  let kills = 0;
  while (!(await ended(into, 100 + (300 + 40 * kills) * draw()))) kills++;
  expect(kills).toBeGreaterThan(3);
  const alone = await votesAlone();
  for (const [i, { name }] of wrappers.entries()) {
    const rows = await readLog(join(into, `${i}.tsv`));
    const votes = rows.map(({ idx, counts0, counts }) => ({ idx, counts0, counts }));
    expect([name, votes.sort((a, b) => a.idx - b.idx)]).toEqual([name, alone.get(name)]);
  }
});

import { join } from "node:path";
import { generator, type ImageDataset, key } from "@dmae/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { openWrappers, type Wrapper } from "../__fixtures__/wrappers.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";

const folder = temporaryFolders("soak");
let wrappers: Wrapper[];
beforeAll(async () => {
  wrappers = await openWrappers(folder());
});
afterAll(async () => {
  for (const wrapper of wrappers) await wrapper.dispose();
});

const images: ImageDataset = {
  name: "soak",
  length: 8,
  imageShape: [4, 4, 3],
  numClasses: 3,
  get: (i) => ({ image: Float32Array.from({ length: 48 }, generator(key(i))), label: i % 3 }),
};
const options = { seed: 0, sigma: 0.5, n0: 20, n: 100 };

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

it("no vote differs from a run alone, whatever runs beside it and is stopped", async () => {
  const draw = generator(key("soak"));
  const alone = new Map<string, unknown[]>();
  for (const { name, classifier } of wrappers) {
    const votes = [];
    for await (const { idx, counts0, counts } of certifyDataset(classifier, images, options))
      votes.push({ idx, counts0, counts });
    alone.set(name, votes);
  }
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

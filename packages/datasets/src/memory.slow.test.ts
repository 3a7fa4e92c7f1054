import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";

const scratch = temporaryFolders("dmae-memory");

test("memory stays flat over a thousand batches of decoded images, in threads and without", () => {
  const script = `
    import { key } from "@dmae/core";
    import * as main from "./dist/index.js";
    import * as transforms from "./dist/transforms.js";
    import { writeTarShards } from "./dist/writers.js";
    const data = { ...main, ...transforms };
    const folder = process.argv[1];
    await writeTarShards(folder, data.synthetic({ length: 64, key: key(0), imageShape: [96, 128, 3] }));
    const images = await data.loadTarShards(folder, { indexFile: false, transform: [data.centerCrop(64)] });
    for (const workers of [0, 2]) {
      const loader = data.batchLoader(images, {
        batchSize: 32, workers, key: key(0), shuffle: true, noiseKeys: (epoch) => [key(epoch)],
        transform: [data.randomResizedCrop(64), data.randomHorizontalFlip(), data.randAugment()],
      });
      const sizes = [];
      for (let step = 0; step < 1000; step++) {
        await loader.at(step);
        if (step % 100 === 99) {
          globalThis.gc();
          sizes.push(process.memoryUsage().rss / 2 ** 20);
        }
      }
      await loader.close();
      console.log(sizes.map(Math.round).join(" "));
    }`;
  const printed = execFileSync(
    process.execPath,
    ["--expose-gc", "--input-type=module", "-e", script, scratch()],
    { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8" },
  );
  for (const line of printed.trim().split("\n")) {
    const sizes = line.split(" ").map(Number);
    expect(sizes).toHaveLength(10);
    // 1,000 batches hold 3 GB of images and noise; after the first 200 the process may not grow by 48 MiB
    expect(Math.max(...sizes.slice(2)) - sizes[1]!, line).toBeLessThan(48);
  }
});

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { foldIn, key, normal } from "@dmae/core";
import { expect, test, vi } from "vitest";
import { batchLoader } from "./batch-loader.ts";
import { batches } from "./batches.ts";
import { createImageWorkers, createPool, type WorkerPool } from "./image-workers.ts";
import type { NoiseTask } from "./noise.ts";
import { randAugment, randomErasing } from "./operations.ts";
import { synthetic } from "./synthetic.ts";

const data = synthetic({ length: 40, key: key(0), imageShape: [12, 10, 3] });
const transform = [randAugment(), randomErasing()];
const noiseKeys = (epoch: number) => [foldIn(key(7), epoch), foldIn(key(8), epoch)];

test("images in memory, floats that are no bytes, and noise come out of workers unchanged", async () => {
  const options = { batchSize: 7, key: key(1), shuffle: true, transform, noiseKeys };
  const workers = createImageWorkers(2);
  const local = batchLoader(data, options);
  const pooled = batchLoader(data, { ...options, workers });
  for (const step of [0, 5, 6]) {
    const expected = await local.at(step);
    expect(await pooled.at(step)).toEqual(expected);
    const { noise, indices, size } = expected;
    expect(noise).toHaveLength(2 * size * 360);
    const row = normal(noiseKeys(Math.floor(step / 6))[1]!, 360, { index: indices[2]! });
    expect(noise!.slice((size + 2) * 360, (size + 3) * 360)).toEqual(row);
  }
  await Promise.all([local.close(), pooled.close()]);
  await workers.close();
});

test("closed workers and worker errors are errors, not hangs", async () => {
  const workers = createImageWorkers(1);
  const loader = batchLoader(data, { batchSize: 4, workers, prefetch: 8 });
  const pending = loader.at(0);
  pending.catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  await workers.close();
  await expect(pending).rejects.toThrow("the workers were closed");
  await expect(loader.at(20)).rejects.toThrow("the workers are closed");
  await loader.close();
});

test("an error inside a worker keeps its kind and its facts", async () => {
  const broken = {
    ...data,
    locate: () => ({ file: "/nonexistent.jpg", offset: 0, length: -1, name: "gone", label: 0 }),
  };
  const first = batches(broken, { batchSize: 4, workers: 1, transform: [] }).next();
  await expect(first).rejects.toMatchObject({
    code: "file",
    details: { file: "/nonexistent.jpg" },
  });
});

const noise = { keys: [key(1)], indices: [0], size: 3 };
/** What a pool draws for {@link noise}. */
const drawn = async (pool: WorkerPool) => {
  let values: Float32Array | undefined;
  await pool.noise(noise, (received) => {
    values = received.slice();
  });
  return values;
};

test("a task that cannot be sent fails, and the thread takes the next ones", async () => {
  const pool = createPool(1);
  const unsendable = { ...noise, keys: [() => {}] } as unknown as NoiseTask;
  const sent = [unsendable, unsendable].map((task) => pool.noise(task, () => {}));
  for (const task of sent) await expect(task).rejects.toThrow("could not be cloned");
  expect(await drawn(pool)).toEqual(normal(key(1), 3, { index: 0 }));
  await pool.close();
});

test("a thread that ends without an error fails its task, and another one takes the next", async () => {
  const { Worker } = process.getBuiltinModule("node:worker_threads");
  let started = 0;
  class Ending extends Worker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      const exits = `require("node:worker_threads").parentPort.on("message", () => process.exit(3))`;
      if (++started === 1) super(exits, { eval: true });
      else super(...given);
    }
  }
  const modules = vi.spyOn(process, "getBuiltinModule");
  modules.mockReturnValue({ Worker: Ending } as never);
  const pool = createPool(1);
  modules.mockRestore();
  await expect(pool.noise(noise, () => {})).rejects.toThrow("it ended with exit code 3");
  expect(await drawn(pool)).toEqual(normal(key(1), 3, { index: 0 }));
  await pool.close();
});

test("what workers cannot do is refused", async () => {
  expect(() => createImageWorkers(0)).toThrow("count must be a positive integer, got 0");
  const fail = (options: object) => batches(data, { batchSize: 4, ...options }).next();
  await expect(fail({ workers: -1 })).rejects.toThrow("workers must be an integer in [0, 1024]");
  await expect(fail({ workers: 1, transform: (image: object) => image })).rejects.toThrow(
    "not a function",
  );
});

/** Runs a script on the built package in a process of its own; a process that does not end is a failure. */
const run = (script: string) =>
  execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    encoding: "utf8",
    timeout: 30_000,
  });
const setUp = `
  import { readdirSync } from "node:fs";
  import { key } from "@dmae/core";
  import { createImageWorkers } from "./dist/images.js";
  import { batches, batchLoader, synthetic } from "./dist/index.js";
  const data = synthetic({ length: 40, key: key(0) });
  const threads = () => readdirSync("/proc/self/task").length;`;

test.skipIf(process.platform !== "linux")(
  "leaving a loop early ends the threads that it started",
  () => {
    const counts = run(`${setUp}
    const before = threads();
    let during = 0;
    for await (const batch of batches(data, { batchSize: 4, workers: 3, prefetch: 4 })) {
      during = threads();
      break;
    }
    console.log(during - before, threads() - before);`);
    const [during, after] = counts.split(" ").map(Number);
    expect(during).toBeGreaterThanOrEqual(3);
    expect(after).toBeLessThanOrEqual(during! - 3);
  },
);

test("workers that nobody closes do not keep the process alive", () => {
  const printed = run(`${setUp}
    const loader = batchLoader(data, { batchSize: 4, workers: createImageWorkers(2) });
    console.log((await loader.at(3)).size);`);
  expect(printed).toBe("4\n");
});

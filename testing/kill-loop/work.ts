// Child process of kill-loop.slow.test.ts: does one kind of work in a folder, and is killed on the way.
//   node --import tsx work.ts <kind> <folder> [address]
import { writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const [kind, folder = "", address = ""] = process.argv.slice(2);

/** Each prepares, and returns the work that may be killed. */
const kinds: Record<string, () => Promise<() => Promise<unknown>>> = {
  async certification() {
    const { certifyDataset } = await import("@dmae/smoothing-certify");
    const dataset = {
      name: "steps",
      length: 40,
      imageShape: [2, 2, 1] as const,
      numClasses: 2,
      get: async (i: number) => ({
        image: new Float32Array(4).fill(i / 40),
        label: i < 20 ? 0 : 1,
      }),
    };
    const classifier = async (images: Float32Array) =>
      Int32Array.from({ length: images.length / 4 }, (_, i) => (images[4 * i]! < 0.5 ? 0 : 1));
    const options = { sigma: 0.25, seed: 0, n0: 10, n: 200, model: "halves", batchSize: 50 };
    return async () => {
      for await (const _ of certifyDataset(classifier as never, dataset as never, {
        ...options,
        log: join(folder, "run.tsv"),
      }));
    };
  },
  async training() {
    await import("@tensorflow/tfjs-backend-cpu");
    const tf = await import("@tensorflow/tfjs-core");
    const { demoRun } = await import("../../packages/train/src/__fixtures__/demo-run.ts");
    await tf.setBackend("cpu");
    return () => demoRun({ folder, steps: 30, keepEvery: 3, checkpointEvery: 3 });
  },
  async download() {
    const { download } = await import("@dmae/checkpoint/downloads");
    return () => download(address, { to: join(folder, "file.bin") });
  },
  async saving() {
    const { saveSafetensors } = await import("@dmae/checkpoint");
    return async () => {
      for (let version = 0; version < 40; version++) {
        const data = new Float32Array(50_000).fill(version);
        const x = { dtype: "float32", shape: [50_000], data } as const;
        await saveSafetensors(join(folder, "state.safetensors"), { x });
      }
    };
  },
  async kernels() {
    process.env.DMAE_CACHE = join(folder, "cache");
    const { findCCompiler } = await import("../../packages/compile/src/kernels/c-compiler.ts");
    const compiler = await findCCompiler();
    return async () => {
      for (let i = 0; i < 4; i++)
        await readFile(await compiler!.build("kernels", `int number${i}(void) { return ${i}; }`));
    };
  },
};

const work = await kinds[kind!]!();
writeSync(1, "ready\n");
await work();
writeSync(1, "done\n");
process.exit(0);

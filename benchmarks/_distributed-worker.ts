// A rank or a process of its own of distributed.ts: node distributed-worker.js <case>; rank 0 prints JSON.
import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import { compiledExecutor } from "@dmae/compile";
import { type HostTensors, key } from "@dmae/core";
import { world } from "@dmae/distributed";
import { createDmae, pretrainRecipes } from "@dmae/pretrain";
import { pretrainInputs, pretrainTask } from "@dmae/pretrain/tasks";
import { fit } from "@dmae/train";
import { taskStep } from "@dmae/train/tasks";

const ranks = await world();
const tell = (values: object) => {
  if (ranks.rank === 0) console.log(JSON.stringify(values));
};

/** Steps of pre-training on a batch that is ready; each rank has a batch of its own. */
const cases = {
  tiny: {
    model: {
      ...{ width: 128, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 1, decoderHeads: 4 },
      ...{ imageSize: 28, inputSize: 28, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] },
    },
    ...{ batchSize: 128, steps: 20, warm: 3 },
  },
  "vit-b": { model: "vit_base_patch16", batchSize: 8, steps: 4, warm: 1 },
} as const;

async function train(name: keyof typeof cases): Promise<void> {
  const { model, batchSize, steps, warm } = cases[name];
  const recipe = {
    ...pretrainRecipes["dmae-vit-b-imagenet-pretrain"],
    ...{ model, batchSize, accumulate: 1 },
  };
  const dmae = createDmae(recipe.model, { sigma: recipe.sigma });
  const { inputSize, channels } = dmae.config;
  const pixels = inputSize * inputSize * channels;
  const batch = {
    images: new Float32Array(batchSize * pixels).fill(0.5),
    labels: new Int32Array(batchSize),
    indices: Int32Array.from({ length: batchSize }, (_, i) => ranks.rank * batchSize + i),
    size: batchSize,
    imageShape: [inputSize, inputSize, channels] as const,
  };
  const position = { key: key(0), epoch: 0, length: dmae.length, maskRatio: recipe.maskRatio };
  const ready: HostTensors = pretrainInputs(batch, position);
  const params = dmae.initHost(key(0));
  const task = pretrainTask(dmae, recipe, params);
  const step = taskStep(task, { stepsPerEpoch: 1000 });
  const ends: number[] = [];
  await fit({
    executor: compiledExecutor({ threads: 1 }),
    step: step.step,
    state: () => step.initState(params),
    steps: warm + steps,
    stepsPerEpoch: 1000,
    batch: (at) => ({ ...ready, ...step.inputs(at) }),
    onProgress: () => ends.push(performance.now()),
    ...(ranks.size > 1
      ? { ranks: { world: ranks, split: step.split, share: 1 / ranks.size } }
      : {}),
  });
  const took = ends.slice(warm).map((end, i) => (end - ends[warm + i - 1]!) / 1000);
  const trained = task.trainable.reduce((sum, name) => sum + params[name]!.data.length, 0);
  tell({ seconds: median(took), bytes: 4 * trained });
}

/** Seconds of an all-reduce by its bytes. */
async function allReduce(sizes: readonly number[]): Promise<void> {
  const seconds: Record<string, number> = {};
  for (const bytes of sizes) {
    const data = new Float32Array(bytes / 4).fill(1e-3);
    const took: number[] = [];
    for (let i = 0; i < 9; i++) {
      await ranks.barrier();
      const started = performance.now();
      await ranks.allReduce(data);
      took.push((performance.now() - started) / 1000);
    }
    seconds[bytes] = median(took.slice(2));
  }
  tell({ seconds });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

const [what, ...sizes] = process.argv.slice(2);
if (what === "all-reduce") await allReduce(sizes.map(Number));
else await train(what as keyof typeof cases);
await ranks.barrier();
process.exit(0);

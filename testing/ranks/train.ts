// A small training of one stage on as many ranks as a launcher starts; rank 0 prints one JSON line a step.
//   mpirun -n 2 node --import tsx testing/ranks/train.ts '{"stages":["cr"],"executor":"eager","epochs":5,"out":"folder"}'
import "@tensorflow/tfjs-backend-cpu";
import { writeFileSync, writeSync } from "node:fs";
import { saveSafetensors } from "@dmae/checkpoint";
import { compiledExecutor } from "@dmae/compile";
import { DmaeError, type HostTensors, key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { world } from "@dmae/distributed";
import {
  finetuneRecipes,
  type LinearProbeRecipe,
  linearProbe,
  linearProbeRecipes,
  type RobustFinetuneOptions,
  robustFinetune,
} from "@dmae/finetune";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { createDmae, pretrain, pretrainRecipes } from "@dmae/pretrain";

type Stage = "pretrain" | "rs" | "cr" | "probe";

/** What a run is told on the command line. */
interface Settings {
  /** One after another. */
  readonly stages: readonly Stage[];
  readonly executor: "eager" | "compiled";
  /** Epochs of 10 micro-batches. */
  readonly epochs: number;
  readonly accumulate?: number;
  /** Folder in which rank 0 saves the parameters, as `<stage>.safetensors`. */
  readonly out?: string;
  readonly folder?: string;
  readonly checkpointEveryEpochs?: number;
  /** Beginning of the files in which ranks leave their process ids. */
  readonly pids?: string;
  /** A rank that throws, meets a NaN or has another learning rate, from this step on. */
  readonly fault?: {
    readonly kind: "throw" | "nan" | "recipe" | "stop";
    readonly rank: number;
    readonly step: number;
  };
}

const settings = JSON.parse(process.argv[2]!) as Settings;
const { stages, executor, epochs, accumulate = 1, out, folder, fault, pids } = settings;
const { checkpointEveryEpochs = 1 } = settings;
const ranks = await world();
if (pids !== undefined) writeFileSync(`${pids}.${ranks.rank}`, String(process.pid));
await selectBackend("cpu");
const isFaulty = fault?.rank === ranks.rank;
const stop = new AbortController();
const shape = { imageShape: [12, 12, 1], numClasses: 3, key: key(1) } as const;
const images = synthetic({ ...shape, length: 240 });
let reads = 0;
const data = {
  ...images,
  pixels: undefined as never, // read through `get`
  get(index: number) {
    const item = images.get(index) as { image: Float32Array; label: number };
    if (!(isFaulty && fault.kind === "nan" && ++reads > 24 * (fault.step + 1))) return item;
    return { ...item, image: item.image.map(() => Number.NaN) };
  },
};
const model = { width: 16, depth: 2, heads: 2 };
const sizes = { imageSize: 16, inputSize: 12, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] };
const classifier = { ...model, ...sizes, numClasses: 3 };
const schedule = {
  ...{ epochs, warmupEpochs: 1, batchSize: 24, accumulate, augmentation: null },
  baseLearningRate: isFaulty && fault.kind === "recipe" ? 0.06 : 0.05,
};
const decoder = { decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
const encoder = createDmae({ ...model, ...decoder }, sizes).initHost(key(2));
const options: RobustFinetuneOptions = {
  executor: executor === "eager" ? eagerExecutor() : compiledExecutor({ threads: 1 }),
  seed: 3,
  world: ranks,
  checkpointEveryEpochs,
  signal: stop.signal,
  ...(folder === undefined ? {} : { folder }),
  onProgress({ step, metrics }) {
    if (ranks.rank === 0) writeSync(1, `${JSON.stringify({ step, ...metrics })}\n`);
    if (!isFaulty || step < fault.step) return;
    if (fault.kind === "throw") throw new DmaeError("argument", `a fault in step ${step}`);
    if (fault.kind === "stop") stop.abort(new DmaeError("resume", "asked to stop"));
  },
};

async function run(stage: Stage): Promise<HostTensors> {
  if (stage === "pretrain") {
    const recipe = pretrainRecipes["dmae-vit-b-imagenet-pretrain"];
    const { onEvaluation: _, ...shared } = options;
    const own = { ...recipe, ...schedule, model: { ...model, ...sizes, ...decoder } };
    return (await pretrain(own, data, shared)).params;
  }
  if (stage === "probe") {
    const recipe: LinearProbeRecipe = {
      ...linearProbeRecipes["dmae-vit-b-imagenet-probe-0.25"],
      ...{ ...schedule, model: { ...classifier, globalPool: false } },
      ...{ baseLearningRate: 400 * schedule.baseLearningRate, batchNormGroup: 6 },
    };
    return (await linearProbe(recipe, data, { ...options, pretrained: encoder })).params;
  }
  const recipe = {
    ...finetuneRecipes["dmae-vit-b-imagenet-cr-0.25"],
    ...{ ...schedule, model: classifier, sigma: [0.1, 0.2] as const, dropPath: 0.1, clipNorm: 5 },
    ...(stage === "rs" ? { method: { name: "gaussian" } as const, mixup: 0, cutmix: 0 } : {}),
  };
  return (await robustFinetune(recipe, data, { ...options, pretrained: encoder })).params;
}

try {
  for (const stage of stages) {
    const params = await run(stage);
    if (ranks.rank === 0 && out !== undefined)
      await saveSafetensors(`${out}/${stage}.safetensors`, params);
  }
} catch (error) {
  if (!stop.signal.aborted && ranks.size === 1) throw error;
  writeSync(2, `rank ${ranks.rank} ended: ${(error as Error).message}\n`);
}

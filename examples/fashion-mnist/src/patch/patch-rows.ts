import { createConvNet } from "@dmae/convnet";
import type { FinetuneRecipe } from "@dmae/finetune";
import type { Model } from "@dmae/nn";
import { createViT } from "@dmae/vit";
import { finetuning, plain, pretraining } from "../recipes.ts";
import { ablatedImages, ablatedTokens } from "./ablated.ts";

/** Columns that an ablated copy keeps; the certified copies start at every pixel. */
export const columns = 4;

/** Passes over the ablated images. */
const epochs = 8;

/** One classifier of ablated images. */
export interface PatchRow {
  readonly name: string;
  readonly label: string;
  readonly recipe: FinetuneRecipe<Model>;
  /** Pre-training to start from; null for none. */
  readonly from: ReturnType<typeof pretraining> | null;
}

/** The ViT of the token rows. */
export const vit = createViT({ ...plain, numClasses: 10, globalPool: true });

/** A net whose batches have a second channel, which the method adds: 1 where a pixel is kept. */
const lenet = createConvNet("lenet", { channels: 2, mean: [0, 0], std: [1, 1] });

/** LeNet as `robustFinetune` takes it: for images of one channel. */
export const convolutional: Model = { ...lenet, imageShape: [28, 28, 1] };

const base = (name: string): FinetuneRecipe => ({
  ...finetuning(name, 0, { epochs, lambda: 0, shift: 1 }),
  source: "(de)randomized smoothing: cross entropy on one column ablation of each image",
  batchSize: 128,
  baseLearningRate: 2e-3,
});

const tokens = (name: string, label: string, from: PatchRow["from"]): PatchRow => ({
  name,
  label,
  recipe: { ...base(name), method: ablatedTokens(vit, columns) } as FinetuneRecipe<Model>,
  from,
});

/** The rows: Smoothed ViTs from two pre-trainings and from none, and LeNet. */
export const patchRows: readonly PatchRow[] = [
  tokens("patch-dmae", "DMAE ViT, visible tokens alone", pretraining("patch-pretrain", 4)),
  tokens("patch-scratch", "the same ViT, not pre-trained", null),
  {
    name: "patch-lenet",
    label: "LeNet, masked images",
    recipe: {
      ...base("patch-lenet"),
      model: convolutional,
      layerDecay: 1,
      method: ablatedImages(columns),
    },
    from: null,
  },
];

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, loadCheckpoint } from "@dmae/checkpoint";
import { optimizerState, trainingState, weightDecayGroups } from "@dmae/checkpoint/resume";
import { DmaeError, foldIn, type HostTensors, type Key } from "@dmae/core";
import { createDmae, type PretrainOptions } from "@dmae/pretrain";
import { trainingPosition } from "@dmae/train/tasks";
import type { TensorSource } from "@dmae/vit";
import { decoderOf } from "./model.ts";
import type { Recipe } from "./recipe.ts";

type Initial = Pick<PretrainOptions, "initialParams"> &
  Partial<Pick<PretrainOptions, "initialOptimizer">>;

/** Parameters and, where they are known, the optimizer state to begin with. */
export interface Start {
  /** Tensors by name. */
  readonly source: TensorSource | HostTensors;
  /** All tensors, and the optimizer that belongs to them. */
  readonly whole: () => Promise<Initial>;
  /** Lets go of the file. */
  readonly close: () => Promise<void>;
}

/**
 * Opens what `--from` names: a `.pth` or `.safetensors` file, or the run folder of another recipe.
 *
 * @returns undefined for a recipe that begins afresh
 * @throws DmaeError "argument" where `--from` is missing or out of place, "file" for a path that holds no checkpoint
 */
export async function startOf(
  recipe: Recipe,
  from: string | undefined,
  smoke: { readonly key: Key } | undefined,
): Promise<Start | undefined> {
  if (recipe.startsFrom === null) {
    if (from === undefined) return undefined;
    throw new DmaeError(
      "argument",
      `--from: ${recipe.name} begins with fresh parameters; leave --from out`,
    );
  }
  if (from !== undefined) return openStart(from);
  if (smoke) return freshStart(recipe, smoke.key);
  throw new DmaeError(
    "argument",
    `--from: ${recipe.name} begins with the result of ${recipe.startsFrom}; name its run folder or a checkpoint file`,
  );
}

/** Random parameters in place of trained ones, to exercise the code. */
function freshStart(recipe: Recipe, key: Key): Start {
  const params = createDmae(decoderOf(recipe)).initHost(foldIn(key, "smoke"));
  return { source: params, whole: async () => ({ initialParams: params }), close: async () => {} };
}

async function openStart(from: string): Promise<Start> {
  const found = await stat(from).catch((cause: Error) => {
    throw new DmaeError(
      "file",
      `--from: cannot read ${from}: ${cause.message}`,
      { file: from },
      { cause },
    );
  });
  if (found.isDirectory()) return openRun(from);
  const checkpoint = await loadCheckpoint(from);
  return {
    source: checkpoint,
    whole: async () => ({
      initialParams: await checkpoint.readAll(),
      ...(hasOptimizer(checkpoint)
        ? { initialOptimizer: await officialOptimizer(checkpoint) }
        : {}),
    }),
    close: () => checkpoint.close(),
  };
}

const hasOptimizer = ({ contents }: Checkpoint) =>
  typeof contents === "object" && contents !== null && "optimizer" in contents;

async function officialOptimizer(checkpoint: Checkpoint) {
  const frozen = ["pos_embed", "decoder_pos_embed"];
  return optimizerState(checkpoint, weightDecayGroups(checkpoint, { frozen }));
}

async function openRun(folder: string): Promise<Start> {
  for (const stage of ["pretrain", "continue"]) {
    const model = join(folder, stage, "model.safetensors");
    if (!(await stat(model).catch(() => undefined))) continue;
    const checkpoint = await loadCheckpoint(model);
    return {
      source: checkpoint,
      whole: async () => ({
        initialParams: await checkpoint.readAll(),
        initialOptimizer: await ownOptimizer(join(folder, stage)),
      }),
      close: () => checkpoint.close(),
    };
  }
  throw new DmaeError(
    "file",
    `--from: ${folder} holds no finished pre-training (pretrain/model.safetensors or continue/model.safetensors)`,
    { file: folder },
  );
}

/** The optimizer of `last.safetensors`, and the updates it has made. */
async function ownOptimizer(folder: string) {
  const checkpoint = await loadCheckpoint(join(folder, "last.safetensors"));
  try {
    const { optimizer, step, run } = await trainingState(checkpoint);
    if (run === null)
      throw new DmaeError("file", `--from: ${folder}/last.safetensors does not say its recipe`);
    const { recipe, stepsPerEpoch, updateOffset } = run as unknown as PretrainRun;
    const { update } = trainingPosition(step, stepsPerEpoch, recipe.accumulate);
    return { tensors: optimizer, step: update + (updateOffset ?? 0) };
  } finally {
    await checkpoint.close();
  }
}

/** What a checkpoint of `pretrain` says of its run. */
interface PretrainRun {
  readonly recipe: { readonly accumulate: number };
  readonly stepsPerEpoch: number;
  readonly updateOffset?: number;
}

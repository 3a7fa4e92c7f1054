import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import { parseStrictJson } from "@dmae/core/checks";
import type { Checkpoint } from "./checkpoint.ts";
import { isTensorReference, type PlainValue } from "./plain-value.ts";

/** Everything that a training of ours needs to go on. */
export interface TrainingState {
  /** The model's parameters. */
  readonly params: HostTensors;
  /** The optimizer's slots, `exp_avg.<name>` and `exp_avg_sq.<name>` for AdamW. */
  readonly optimizer: HostTensors;
  /** Gradients accumulated since the last update; empty without accumulation. */
  readonly gradients: HostTensors;
  /** The moving average of the parameters; empty where none was kept. */
  readonly ema: HostTensors;
  /** Micro-batches done. */
  readonly step: number;
  /**
   * What was run, as `run.json` says it: `{ task, data, recipe, key, stepsPerEpoch }` for the trainings of
   * `@dmae/pretrain` and `@dmae/finetune`; null where the file does not say.
   */
  readonly run: PlainValue;
}

/**
 * The whole state of a training checkpoint of `@dmae/train` (`last.safetensors`, `best.safetensors`,
 * `step-<n>.safetensors`): parameters, optimizer, step, and the run with its key. To resume a run in its
 * folder none of this is needed; it is for continuing in another run, and for looking inside.
 *
 * @param checkpoint what `loadCheckpoint` gave, whatever was selected
 * @throws DmaeError "checkpoint" for a file that is no training checkpoint of ours
 *
 * @example
 * ```ts
 * const checkpoint = await loadCheckpoint("runs/a/last.safetensors");
 * const { params, optimizer, step, run } = await trainingState(checkpoint);
 * await checkpoint.close();
 * ```
 */
export async function trainingState(checkpoint: Checkpoint): Promise<TrainingState> {
  const { contents, metadata } = checkpoint;
  const part = async (name: string) => {
    const found: Record<string, HostTensor> = {};
    for (const [key, value] of Object.entries(contents))
      if (key.startsWith(`${name}.`) && isTensorReference(value))
        found[key.slice(name.length + 1)] = await checkpoint.read(value);
    return found;
  };
  const step = metadata.step ?? "";
  const names = Object.keys(contents);
  const isOurs = names.some((name) => name.startsWith("params.")) && /^\d{1,15}$/.test(step);
  if (!isOurs)
    throw new DmaeError(
      "checkpoint",
      `trainingState: the file must be a training checkpoint of @dmae/train (params.*, and step in its metadata), got ${names.slice(0, 5).join(", ")}, …; optimizerState reads those of PyTorch`,
    );
  return {
    params: await part("params"),
    optimizer: await part("optimizer"),
    gradients: await part("gradients"),
    ema: await part("ema"),
    step: Number(step),
    run: parseRun(metadata.run),
  };
}

function parseRun(text: string | undefined): PlainValue {
  if (text === undefined) return null;
  try {
    return parseStrictJson(text) as PlainValue;
  } catch (cause) {
    throw new DmaeError(
      "checkpoint",
      "trainingState: run in the metadata must be JSON",
      {},
      { cause },
    );
  }
}

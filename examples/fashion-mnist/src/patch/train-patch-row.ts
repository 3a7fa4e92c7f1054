import { foldIn, type HostTensors, key } from "@dmae/core";
import { robustFinetune } from "@dmae/finetune";
import { augmented, preTrained, running, type Training } from "../train-row.ts";
import type { PatchRow } from "./patch-rows.ts";

/** Parameters of a trained row; a finished run is only read. */
export async function trainPatchRow(
  { name, recipe, from }: PatchRow,
  training: Training,
): Promise<HostTensors> {
  const order = foldIn(key(training.seed), "patch-data");
  const { params } = await robustFinetune(recipe, augmented(training.train, recipe, order), {
    ...running(training, "finetune", name),
    ...(from && (await preTrained(from, training))),
  });
  return params;
}

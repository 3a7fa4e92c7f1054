import { existsSync } from "node:fs";
import { loadCheckpoint } from "@dmae/checkpoint";
import { type ConvNet, loadConvNet } from "@dmae/convnet";
import { DmaeError, type HostTensor, type ImageDataset } from "@dmae/core";
import type { Executor } from "@dmae/nn";
import { progressLine } from "@dmae/reproduce/progress";
import { makeSoftLabels, readSoftLabels } from "@dmae/reproduce/soft-labels";

/** Where soft labels come from and go to. */
interface SoftLabelFiles {
  /** Folder of the finished row `gaussian-0.25`. */
  readonly trained: string;
  readonly file: string;
  readonly executor: Executor;
  readonly signal?: AbortSignal;
}

/**
 * The soft labels of CAT-RS, `[N, K]`: how often the row `gaussian-0.25` answers each class under its noise. They are kept
 * in `file`; the official code takes the same ones at every sigma.
 */
export async function softLabels(
  model: ConvNet,
  data: ImageDataset,
  { trained, file, executor, signal }: SoftLabelFiles,
): Promise<HostTensor> {
  const weights = `${trained}/model.safetensors`;
  if (!existsSync(weights)) {
    const known = existsSync(file) ? await readSoftLabels(file) : undefined;
    if (known?.shape[0] === data.length) return known;
    throw new DmaeError(
      "argument",
      `catRs: soft labels come from the finished row gaussian-0.25, got none in ${trained}; run --row gaussian-0.25 first`,
    );
  }
  const checkpoint = await loadCheckpoint(weights);
  const params = await loadConvNet(model, checkpoint);
  await checkpoint.close();
  const line = progressLine("soft labels", "images");
  const labels = await makeSoftLabels(model, params, data, {
    ...{ executor, sigma: 0.25, file, signal, onProgress: line.update },
  });
  line.end(file);
  return labels;
}

import type { HostTensors, ImageDataset, Key } from "@dmae/core";
import type { Executor, Params } from "@dmae/nn";
import type { Dmae, DmaeInputs } from "@dmae/pretrain";
import { pretrainInputs } from "@dmae/pretrain/tasks";
import { unpatchify } from "@dmae/vit/parts";
import { type Picture, sheet } from "./pictures.ts";

/** Draws `count` test images: original, noisy, masked (what the encoder saw), reconstructed. */
export async function reconstructions(
  dmae: Dmae,
  params: HostTensors,
  dataset: ImageDataset,
  { executor, key, count }: { executor: Executor; key: Key; count: number },
): Promise<Picture> {
  const { inputSize: side, patchSize, sigma, mean, std } = dmae.config;
  const items = await Promise.all(Array.from({ length: count }, (_, i) => dataset.get(i)));
  const images = Float32Array.from(items.flatMap(({ image }) => [...image]));
  const batch = {
    images,
    labels: Int32Array.from(items, ({ label }) => label),
    indices: Int32Array.from(items, (_, i) => i),
    size: count,
    imageShape: dataset.imageShape,
  };
  const { length } = dmae;
  const inputs = pretrainInputs(batch, { key, epoch: 0, length, maskRatio: 0.75 });
  const prepared = await executor.prepareFunction({
    fn: ({ images: clean, noise, idsKeep, idsRestore, mask, ...weights }) => ({
      pixels: unpatchify(
        dmae.apply(
          weights as Params,
          { images: clean, noise, idsKeep, idsRestore, mask } as DmaeInputs,
        ).prediction,
        patchSize,
      ),
    }),
    specs: Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
    ),
    constants: params,
  });
  const { pixels } = await prepared(inputs);
  prepared.dispose();

  const size = side * side;
  const grid = side / patchSize;
  const rows = items.map(({ image }, row) => {
    const noise = inputs.noise!.data.subarray(row * size, (row + 1) * size);
    const hidden = inputs.mask!.data.subarray(row * length, (row + 1) * length);
    const predicted = pixels!.data.subarray(row * size, (row + 1) * size);
    const noisy = Float32Array.from(image, (value, i) => value + sigma * noise[i]!);
    const patchOf = (i: number) =>
      Math.floor(Math.floor(i / side) / patchSize) * grid + Math.floor((i % side) / patchSize);
    const masked = Float32Array.from(noisy, (value, i) => (hidden[patchOf(i)] ? 0.5 : value));
    const reconstructed = Float32Array.from(predicted, (value) => value * std[0]! + mean[0]!);
    return [image, noisy, masked, reconstructed];
  });
  return sheet(rows, side);
}

import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { refusePromise } from "@dmae/core/checks";
import { ahead } from "./ahead.ts";
import type { PixelDataset, Splits } from "./dataset.ts";
import type { LabeledPixels } from "./pixels.ts";
import { writeWhole } from "./write-files.ts";

/**
 * Writes CIFAR-10's official binary files: `data_batch_1.bin` … `data_batch_5.bin`, `test_batch.bin` and
 * `batches.meta.txt`, which `loadCifar10` and the official readers open.
 *
 * @param folder where to write; made if it is not there
 * @param dataset ten classes, 32x32 colour images, at least five for training
 * @throws DmaeError "shape" for other images, "argument" for other numbers of classes
 *
 * @example
 * ```ts
 * const open = (split: Split) => loadImageFolder("./cifar10-jpeg", { split, transform: [centerCrop(32)] });
 * await writeCifar10("./cifar10-bin", { train: await open("train"), test: await open("test") });
 * ```
 */
export async function writeCifar10(folder: string, { train, test }: Splits): Promise<void> {
  check(train, 5);
  check(test, 1);
  for (let part = 0; part < 5; part++) {
    const first = Math.floor((part * train.length) / 5);
    const end = Math.floor(((part + 1) * train.length) / 5);
    await writeWhole(
      "writeCifar10",
      join(folder, `data_batch_${part + 1}.bin`),
      records(train, first, end),
    );
  }
  await writeWhole("writeCifar10", join(folder, "test_batch.bin"), records(test, 0, test.length));
  const names = train.classNames ?? Array.from({ length: 10 }, (_, label) => String(label));
  await writeWhole("writeCifar10", join(folder, "batches.meta.txt"), [
    Buffer.from(`${names.join("\n")}\n`),
  ]);
}

function check(dataset: PixelDataset, least: number): void {
  refusePromise("writeCifar10", dataset);
  if (dataset.numClasses !== 10)
    throw new DmaeError(
      "argument",
      `writeCifar10: ${dataset.name} must have 10 classes, got ${dataset.numClasses}`,
    );
  if (dataset.length < least)
    throw new DmaeError(
      "argument",
      `writeCifar10: ${dataset.name} must have at least ${least} images, got ${dataset.length}`,
    );
}

const records = (dataset: PixelDataset, first: number, end: number) =>
  ahead(first, end, async (index) =>
    record(await dataset.pixels(index), `image ${index} of ${dataset.name}`),
  );

/** One label byte, then the red, green and blue plane. */
function record({ data, height, width, channels, label }: LabeledPixels, name: string): Uint8Array {
  if (height !== 32 || width !== 32 || channels !== 3)
    throw new DmaeError(
      "shape",
      `writeCifar10: ${name} must be 32x32x3, got ${height}x${width}x${channels}`,
    );
  const out = new Uint8Array(3073);
  out[0] = label;
  for (let pixel = 0; pixel < 1024; pixel++)
    for (let channel = 0; channel < 3; channel++)
      out[1 + channel * 1024 + pixel] = data[pixel * 3 + channel]!;
  return out;
}

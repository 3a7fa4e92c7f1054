import type { ImageDataset } from "@dmae/core";
import type { BatchSource } from "./batch-source.ts";
import { checksum } from "./checksum.ts";

/** Images whose values are compared. */
const SAMPLED = 8;

/** Facts that tell the data of two ranks apart: sizes, and a checksum over some images and labels. */
export async function dataFacts(
  data: ImageDataset | BatchSource,
): Promise<Record<string, string | number>> {
  if ("at" in data) {
    const { images, labels, indices } = await data.at(0);
    const values = { images: float(images), labels: int(labels), indices: int(indices) };
    return { batches: data.stepsPerEpoch, checksum: checksum(values) };
  }
  const { name, length } = data;
  const sums: string[] = [];
  for (let i = 0; i < Math.min(SAMPLED, length); i++) {
    const { image, label } = await data.get(Math.floor((i * length) / Math.min(SAMPLED, length)));
    sums.push(checksum({ image: float(image), label: int(Int32Array.of(label)) }));
  }
  return { name: name ?? "", images: length, checksum: sums.join(" ") };
}

const float = (data: Float32Array) => ({ dtype: "float32", shape: [data.length], data }) as const;
const int = (data: Int32Array) => ({ dtype: "int32", shape: [data.length], data }) as const;

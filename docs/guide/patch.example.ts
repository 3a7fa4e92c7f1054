import { key } from "@dmae/core";
import { synthetic } from "@dmae/datasets";
import { certifyDatasetPatch } from "@dmae/smoothing-certify";
import { formatPatchAccuracy } from "@dmae/smoothing-certify/report";

// Class 1 if most of the columns that a copy keeps are bright: n images in, n class ids out.
const classify = (images: Float32Array, [n, height, width]: number[]) =>
  Array.from({ length: n! }, (_, i) => {
    const size = height! * width!;
    const kept = images.subarray(i * size, (i + 1) * size).filter((value) => value > 0);
    return kept.reduce((sum, value) => sum + value, 0) / kept.length > 0.5 ? 1 : 0;
  });

const images = { length: 4, imageShape: [12, 12, 1], numClasses: 2 } as const;
const test = synthetic({ ...images, key: key("patches") });
const rows = await certifyDatasetPatch(classify, test, { ablation: { columns: 4 } }).toArray();
console.log(formatPatchAccuracy({ model: rows }, [2, 3, 5])); // one run certifies every size of patch

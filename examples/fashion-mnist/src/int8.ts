import { exportOnnx, quantize } from "@dmae/compile";
import { foldIn, type ImageDataset, key, normal } from "@dmae/core";
import type { LogitsProgram } from "@dmae/finetune";

/** Batches of noisy training images that int8 scales are found on. */
const calibrationBatches = 8;

/**
 * A classifier as int8 ONNX with an open batch; the scales are found on noisy training images.
 *
 * @param sigma standard deviation of the noise that it will be certified under
 */
export async function int8Onnx(
  program: LogitsProgram,
  { name, train, sigma }: { name: string; train: ImageDataset; sigma: number },
): Promise<Uint8Array> {
  const calibration = noisyBatches(train, program.specs.images, sigma);
  const quantization = await quantize(program, { calibration });
  return exportOnnx(program, {
    dynamicBatch: true,
    precision: "int8",
    quantization,
    graphName: name,
  });
}

async function* noisyBatches(dataset: ImageDataset, shape: readonly number[], sigma: number) {
  const [rows = 0, ...sides] = shape;
  const size = sides.reduce((product, side) => product * side, 1);
  for (let batch = 0; batch < calibrationBatches; batch++) {
    const data = new Float32Array(rows * size);
    for (let row = 0; row < rows; row++) {
      const index = batch * rows + row;
      const { image: mean } = await dataset.get(index);
      const out = data.subarray(row * size, (row + 1) * size);
      normal(foldIn(key(0), "calibration"), out, { index, mean, standardDeviation: sigma });
    }
    yield { images: data };
  }
}

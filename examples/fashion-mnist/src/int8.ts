import { exportOnnx, quantize } from "@dmae/compile";
import { type ImageDataset, key } from "@dmae/core";
import type { LogitsProgram } from "@dmae/finetune";
import { noisyBatches } from "@dmae/reproduce/calibration";

/**
 * A classifier as int8 ONNX with an open batch; the scales are found on noisy training images.
 *
 * @param sigma standard deviation of the noise that it will be certified under
 */
export async function int8Onnx(
  program: LogitsProgram,
  { name, train, sigma }: { name: string; train: ImageDataset; sigma: number },
): Promise<Uint8Array> {
  const [batchSize = 1] = program.specs.images;
  const calibration = noisyBatches(train, { batchSize, sigma, key: key(0) });
  const quantization = await quantize(program, { calibration });
  return exportOnnx(program, {
    dynamicBatch: true,
    precision: "int8",
    quantization,
    graphName: name,
  });
}

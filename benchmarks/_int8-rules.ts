// How ranges of activations are best chosen, and what the eighth bit of a weight is worth.
import type { HostTensor, HostTensors } from "@dmae/core";
import { batch, noisyBatches, prepare, quantization, quickstart } from "./_int8-model.ts";

const classes = ({ data }: HostTensor) =>
  Array.from({ length: batch }, (_, i) => {
    const row = Array.from(data.subarray(10 * i, 10 * i + 10));
    return row.indexOf(Math.max(...row));
  });

/** Prints how many classes of fresh noisy test images stay the same, for each rule and number of bits. */
export async function compareRules(constants: HostTensors): Promise<void> {
  const calibration = await noisyBatches(8, "calibration");
  const fresh = await noisyBatches(32, "fresh");
  const float = await prepare(quickstart, constants);
  const expected = await Promise.all(fresh.map(async (b) => (await float(b)).logits!));
  float.dispose();
  console.log(
    `Classes kept of ${fresh.length * batch} noisy test images, and root mean square error of the logits relative to their size:\n`,
  );
  console.log("| range rule | 7-bit weights | 8-bit weights |\n|---|---|---|");
  for (const rule of ["minmax", "percentile", "mse"] as const) {
    const cells: string[] = [];
    for (const weightBits of [7, 8] as const) {
      const scales = await quantization(quickstart, constants, { calibration, rule, weightBits });
      const program = await prepare(quickstart, constants, scales);
      let same = 0;
      let error = 0;
      let size = 0;
      for (const [i, b] of fresh.entries()) {
        const logits = (await program(b)).logits!;
        const wanted = classes(expected[i]!);
        same += classes(logits).filter((c, j) => c === wanted[j]).length;
        logits.data.forEach((v, j) => {
          error += (v - expected[i]!.data[j]!) ** 2;
          size += expected[i]!.data[j]! ** 2;
        });
      }
      program.dispose();
      const kept = ((100 * same) / (fresh.length * batch)).toFixed(2);
      cells.push(`${kept} %, ${Math.sqrt(error / size).toFixed(4)}`);
    }
    console.log(`| ${rule} | ${cells.join(" | ")} |`);
  }
}

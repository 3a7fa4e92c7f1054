// What certify costs beyond the int8 program: noise, counting, the check of rows. Raw program and certify in turns.
import { key, normal } from "@dmae/core";
import { certifyDataset } from "@dmae/smoothing-certify";
import type { ViT } from "@dmae/vit";
import {
  batch,
  classifierOf,
  noisyBatches,
  prepare,
  quantization,
  quickstart,
  sigma,
  tiny,
} from "./_int8-model.ts";

const images = 4;
const rounds = 7;

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Prints the rate of the program alone and through certifyDataset. */
export async function compareOverhead(): Promise<void> {
  console.log(
    `\nNoisy images a second, batch ${batch}, median of ${rounds} turns: the program alone, and through certifyDataset with noise, counting and the check of rows\n`,
  );
  console.log("| model | precision | program | certify | share kept |\n|---|---|---|---|---|");
  for (const [name, vit] of [
    ["quickstart", quickstart],
    ["tiny", tiny],
  ] as const)
    for (const precision of ["int8", "float32"] as const) await overhead(name, vit, precision);
}

async function overhead(name: string, vit: ViT, precision: "int8" | "float32"): Promise<void> {
  const constants = vit.initHost(key(0));
  const scales = precision === "int8" ? await quantization(vit, constants) : undefined;
  const program = await prepare(vit, constants, scales);
  const inputs = await noisyBatches(8, "fresh");
  // Batches of one turn: about a second and a half of the program.
  const trial = await seconds(async () => {
    for (let i = 0; i < 20; i++) await program.run(inputs[i % 8]!);
  });
  const calls = Math.max(20, Math.round(30 / trial));
  const raw: number[] = [];
  const through: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const alone = await seconds(async () => {
      for (let i = 0; i < calls; i++) await program.run(inputs[i % 8]!);
    });
    raw.push((calls * batch) / alone);
    const samples = Math.ceil((calls * batch) / images);
    const certified = await seconds(async () => {
      const options = { sigma, n0: 100, n: samples - 100, seed: round };
      for await (const _ of certifyDataset(classifierOf(program), grey, options));
    });
    through.push((images * samples) / certified);
  }
  program.dispose();
  const kept = median(through.map((rate, i) => rate / raw[i]!));
  console.log(
    `| ${name} | ${precision} | ${median(raw).toFixed(0)} | ${median(through).toFixed(0)} | ${(100 * kept).toFixed(1)} % |`,
  );
}

const grey = {
  name: "grey",
  length: images,
  imageShape: [28, 28, 1] as const,
  numClasses: 10,
  get: (index: number) => ({
    image: normal(key(index), 784, { mean: 0.5, standardDeviation: 0.1 }).map((v) =>
      Math.min(1, Math.max(0, v)),
    ),
    label: 0,
  }),
};

async function seconds(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

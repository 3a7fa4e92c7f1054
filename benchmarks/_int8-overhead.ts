// What certify costs beyond the int8 program: noise, counting, the check of rows. Program and certify in turns, by the
// clock and in CPU time of all threads, which other work on the machine disturbs less.
import process from "node:process";
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
  console.log(
    "| model | precision | program | certify | kept by the clock | CPU us an image: program | certify | kept in CPU time |\n|---|---|---|---|---|---|---|---|",
  );
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
  const alone = async (calls: number) => {
    for (let i = 0; i < calls; i++) await program(inputs[i % 8]!);
  };
  const trial = await measured(20 * batch, () => alone(20));
  // A turn takes about a second and a half of the program.
  const calls = Math.max(20, Math.round((1.5 * trial.rate) / batch));
  const samples = Math.ceil((calls * batch) / images);
  const raw: Measured[] = [];
  const through: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    raw.push(await measured(calls * batch, () => alone(calls)));
    const options = { sigma, n0: 100, n: samples - 100, seed: round };
    through.push(
      await measured(samples * images, async () => {
        for await (const _ of certifyDataset(classifierOf(program), grey, options));
      }),
    );
  }
  program.dispose();
  const share = (of: (turn: Measured) => number) =>
    `${(100 * median(through.map((turn, i) => of(turn) / of(raw[i]!)))).toFixed(1)} %`;
  const cells = [
    name,
    precision,
    median(raw.map(({ rate }) => rate)).toFixed(0),
    median(through.map(({ rate }) => rate)).toFixed(0),
    share(({ rate }) => rate),
    median(raw.map(({ cpu }) => cpu)).toFixed(0),
    median(through.map(({ cpu }) => cpu)).toFixed(0),
    share(({ cpu }) => 1 / cpu),
  ];
  console.log(`| ${cells.join(" | ")} |`);
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

interface Measured {
  /** Images a second. */
  rate: number;
  /** Microseconds an image, of all threads. */
  cpu: number;
}

async function measured(count: number, work: () => Promise<void>): Promise<Measured> {
  const started = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { rate: (1000 * count) / (performance.now() - started), cpu: (user + system) / count };
}

// Run as a program: certifies 40 small images into the log named on the command line, slowly.
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { halves, steps } from "./steps.ts";

const slowly = async (batch: Float32Array, shape: number[]) => {
  await new Promise((resolve) => setTimeout(resolve, 4));
  return halves(batch, shape);
};
const classifier = Object.assign(slowly, { fingerprint: "halves" });
const options = { seed: 0, sigma: 0.5, n0: 10, n: 100, batchSize: 50, model: "halves", log: process.argv[2]! };
for await (const row of certifyDataset(classifier, steps(40), options)) console.log(row.idx);

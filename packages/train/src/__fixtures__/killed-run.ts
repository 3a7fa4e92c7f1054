// Child process of fit.test.ts: trains a small network and is killed on the way.
//   node --import tsx killed-run.ts <folder> <steps>
import "@tensorflow/tfjs-backend-cpu";
import { writeSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { demoRun } from "./demo-run.ts";

const [folder, steps] = process.argv.slice(2);
await tf.setBackend("cpu");
const line = (text: string) => writeSync(1, `${text}\n`);
await demoRun({
  folder: folder!,
  steps: Number(steps),
  onProgress: ({ step }) => line(`step ${step}`),
});
line("done");

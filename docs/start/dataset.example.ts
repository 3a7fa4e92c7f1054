import { fashionMnist } from "@dmae/datasets";
import { pretrained } from "@dmae/models";
import { averageCertifiedRadius, certifiedAccuracy, certifyDataset } from "@dmae/smoothing-certify";

const classifier = await pretrained("fashion-mnist-cr-0.25"); // or your own
const { test } = await fashionMnist(); // or await loadImageFolder("photos", { size: 28, channels: 1 })

const rows = await certifyDataset(classifier, test, {
  sigma: 0.25,
  n: 1000,
  skip: 1000, // every 1,000th image
  log: "run.tsv", // started again, the run continues where it stopped
}).toArray();

console.log(certifiedAccuracy(rows, [0, 0.25, 0.5]), averageCertifiedRadius(rows));

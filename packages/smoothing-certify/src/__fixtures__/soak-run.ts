// Certifies the soak test's images with every wrapper at once, into one log each: `soak-run.ts FOLDER`. It says "begun" when all runs
// have begun, so that a test can kill it in their midst.
import { join } from "node:path";
import process from "node:process";
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { soakImages, soakOptions } from "./soak-images.ts";
import { openWrappers } from "./wrappers.ts";

const folder = process.argv[2]!;
const wrappers = await openWrappers(folder);
console.log("begun");
await Promise.all(
  wrappers.map(async ({ classifier }, i) => {
    const log = join(folder, `${i}.tsv`);
    for await (const _ of certifyDataset(classifier, soakImages, { ...soakOptions, log }));
  }),
);
process.exit(0);

// Runs the fuzzer as a process of its own: tsx fuzz-main.ts <seed> <files>. Prints one line of JSON.
import { fuzz } from "./fuzz-run.ts";

const [seed = 0, files = 0] = process.argv.slice(2).map(Number);
await fuzz(seed, 3000); // warms up, so that what follows measures the files and not the engine
const before = process.resourceUsage().maxRSS;
const counts = await fuzz(seed + 1, files);
const grownMiB = (process.resourceUsage().maxRSS - before) / 1024;
console.log(JSON.stringify({ ...counts, grownMiB }));

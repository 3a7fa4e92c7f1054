// Reads tensors of a large file in a process of its own and says how much memory that took.
// tsx large-main.ts <file> <"all" | name>. Prints one line of JSON.
import { loadCheckpoint } from "./index.ts";

const [path = "", wanted = "all"] = process.argv.slice(2);
const before = process.resourceUsage().maxRSS;
const checkpoint = await loadCheckpoint(path);
const names = wanted === "all" ? checkpoint.names : [wanted];
const weights = await checkpoint.readAll(names);
const held = Object.values(weights).reduce((sum, { data }) => sum + data.byteLength, 0);
await checkpoint.close();
const peakMiB = (process.resourceUsage().maxRSS - before) / 1024;
console.log(JSON.stringify({ heldMiB: held / 2 ** 20, peakMiB }));

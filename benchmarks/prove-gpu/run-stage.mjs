// Runs one stage in a process of its own; rows go to standard output as they are found, one line of JSON each.
import { compiledExecutor } from "@dmae/compile";
import { selectBackend } from "@dmae/nn";
import "@tensorflow/tfjs-backend-cpu";
import { cifar } from "./cifar.mjs";
import { fashion } from "./fashion.mjs";
import { parity } from "./parity.mjs";
import { start } from "./start.mjs";
import { throughput, torch } from "./throughput.mjs";

const stages = { parity, throughput, torch, start, fashion, cifar };
const { stage, done, precision = "float32", ...settings } = JSON.parse(process.argv[2]);
const known = new Set(done);
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("the stage's time is over")));

const print = (line) => process.stdout.write(`row:${JSON.stringify(line)}\n`);

/** A row that is not there yet; what fails or does not fit is a row as well. */
async function row(name, find) {
  if (known.has(name)) return;
  try {
    print({ name, ...(await find()) });
  } catch (error) {
    print({ name, error: String(error.message ?? error).slice(0, 400) });
    if (stop.signal.aborted) throw error;
  }
}

await selectBackend("cpu");
const executor = compiledExecutor({ provider: settings.provider, precision });
try {
  await stages[stage]({ ...settings, executor, signal: stop.signal, row });
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exit(75); // to be started again
}
process.exit(0);

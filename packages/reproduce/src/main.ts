import process from "node:process";
import { DmaeError } from "@dmae/core";
import { type Example, reproduce } from "./reproduce.ts";

/** Runs an example as a program: Ctrl-C stops it after a checkpoint, errors are one sentence, the exit code tells. */
export async function runMain(example: Example, args: readonly string[]): Promise<never> {
  const stop = new AbortController();
  process.once("SIGINT", () => {
    process.once("SIGINT", () => process.exit(130));
    stop.abort(new DmaeError("resume", "stopped after a checkpoint; start again to go on"));
  });
  try {
    await reproduce({ ...example, signal: stop.signal }, args);
    process.exit(0);
  } catch (error) {
    if (!DmaeError.isInstance(error)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exit(error.code === "resume" && stop.signal.aborted ? 130 : 1);
  }
}

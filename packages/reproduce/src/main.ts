import process from "node:process";
import { DmaeError, type World } from "@dmae/core";
import { world } from "@dmae/distributed";
import { type Example, reproduce } from "./reproduce.ts";

/**
 * Runs an example as a program: Ctrl-C stops it after a checkpoint, errors are one sentence, the exit code tells. Started by
 * `mpirun` or `srun`, all ranks run it together.
 */
export async function runMain(example: Example, args: readonly string[]): Promise<never> {
  const stop = new AbortController();
  process.once("SIGINT", () => {
    process.once("SIGINT", () => process.exit(130));
    stop.abort(new DmaeError("resume", "stopped after a checkpoint; start again to go on"));
  });
  let ranks: World | undefined;
  try {
    ranks = await world();
    await reproduce({ ...example, signal: stop.signal, world: ranks }, args);
    process.exit(0);
  } catch (error) {
    if (ranks !== undefined && ranks.size > 1 && !stop.signal.aborted) await ranks.abort(error);
    if (!DmaeError.isInstance(error)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exit(error.code === "resume" && stop.signal.aborted ? 130 : 1);
  }
}

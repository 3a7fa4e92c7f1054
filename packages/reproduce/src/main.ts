import { world } from "@dmae/distributed";
import { runAsProgram } from "./program.ts";
import { type Example, reproduce } from "./reproduce.ts";

/**
 * Runs an example as a program: Ctrl-C stops it after a checkpoint, errors are one sentence, the exit code tells. Started by
 * `mpirun` or `srun`, all ranks run it together.
 */
export const runMain = (example: Example, args: readonly string[]): Promise<never> =>
  runAsProgram(async (signal) => {
    const ranks = await world();
    try {
      await reproduce({ ...example, signal, world: ranks }, args);
    } catch (error) {
      if (ranks.size > 1 && !signal.aborted) await ranks.abort(error);
      throw error;
    }
  });

import process from "node:process";
import { DmaeError } from "@dmae/core";

export { type CommandOptions, commandLine, wholeNumber } from "./command-line.ts";
export { type Precision, precisionOf } from "./precision.ts";

/**
 * Runs a function as a program: Ctrl-C and SIGTERM abort `signal`, so that a run stops after a checkpoint, and a second
 * Ctrl-C ends it at once; a {@link DmaeError} is printed as one sentence; the exit code is 0, 1 for an error or 130 for a run
 * that was stopped. When the reader of the output ends (`| head`), the program ends too, quietly.
 *
 * @param run the program; give its signal to what takes long
 * @returns never: the process ends
 *
 * @example
 * await runAsProgram((signal) => pretrain(recipe, images, { folder: "run", signal }));
 */
export async function runAsProgram(run: (signal: AbortSignal) => Promise<unknown>): Promise<never> {
  const stop = new AbortController();
  const abort = () =>
    stop.abort(new DmaeError("resume", "stopped after a checkpoint; start again to go on"));
  process.once("SIGTERM", abort).once("SIGINT", () => {
    process.once("SIGINT", () => process.exit(130));
    abort();
  });
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  try {
    await run(stop.signal);
    process.exit(0);
  } catch (error) {
    if (!DmaeError.isInstance(error)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exit(error.code === "resume" && stop.signal.aborted ? 130 : 1);
  }
}

import type { Executor } from "@dmae/nn";

/** How the program of a trained model runs. */
export interface ProgramUse {
  /** Images in a call of the program; default 64. */
  readonly batchSize?: number | undefined;
  /** Runs the program; default the one that trained, or else the fastest of this machine. */
  readonly executor?: Executor | undefined;
}

import { DmaeError } from "@dmae/core";
import { show } from "../checks.ts";

/** One of several runs that share a data set. */
export interface Shard {
  /** Number of this shard, `0 <= index < count`. */
  readonly index: number;
  /** Number of shards. */
  readonly count: number;
}

/** Reads `i/n`, e.g. `0/8` … `7/8`. */
export function parseShard(text: string): Shard {
  const match = /^(\d+)\/(\d+)$/.exec(text.trim());
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || !(count >= 1 && index < count))
    throw new DmaeError(
      "argument",
      `shard: must read i/n with 0 <= i < n, e.g. 0/8, got ${show(text)}`,
    );
  return { index, count };
}

/**
 * The shard that a cluster assigned to this process, or nothing outside of one: Kubernetes indexed
 * jobs (`JOB_COMPLETION_INDEX`, with the number of completions in `SHARD_COUNT`, which Kubernetes
 * does not pass on by itself) and SLURM arrays (`SLURM_ARRAY_TASK_ID`, `_MIN` and `_COUNT`).
 *
 * @param environment the variables, by default those of the process
 */
export function shardFromEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Shard | undefined {
  const { JOB_COMPLETION_INDEX: job, SHARD_COUNT: jobs } = environment;
  const { SLURM_ARRAY_TASK_ID: task, SLURM_ARRAY_TASK_COUNT: tasks } = environment;
  if (job !== undefined) {
    if (jobs === undefined)
      throw new DmaeError(
        "argument",
        "shard: JOB_COMPLETION_INDEX is set but SHARD_COUNT is not; set it to the job's completions",
      );
    return parseShard(`${job}/${jobs}`);
  }
  if (task === undefined || tasks === undefined) return undefined;
  const { SLURM_ARRAY_TASK_MIN: first = "0", SLURM_ARRAY_TASK_STEP: step = "1" } = environment;
  return parseShard(`${(Number(task) - Number(first)) / Number(step)}/${tasks}`);
}

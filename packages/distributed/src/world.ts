import type { World } from "@dmae/core";
import { launchedBy } from "./launcher.ts";
import { mpiWorld } from "./mpi-world.ts";
import { worldOfOne } from "./one.ts";

let made: Promise<World> | undefined;

/**
 * The processes that run this program together: those that `mpirun`, `srun` or an MPIJob started; a process that was
 * started alone is a world of one, which needs no MPI.
 *
 * Under a launcher, the first call compiles a small addon with `mpicc` (`MPICC` names another compiler), keeps it in
 * the cache folder, and starts MPI. A thread calls MPI, so that the event loop goes on while ranks wait for each other.
 * A rank that throws, or calls `abort`, ends the job.
 *
 * @returns the same world at every call
 * @throws DmaeError "unsupported" if `mpicc` is missing, if MPI cannot be loaded, or if launcher and library belong
 *   to different MPIs
 *
 * @example
 * const ranks = await world();
 * const sum = await ranks.allReduce(Float64Array.of(ranks.rank));
 * if (ranks.rank === 0) console.log(sum[0]); // 0 + 1 + … + size - 1
 */
export function world(): Promise<World> {
  made ??= make();
  return made;
}

async function make(): Promise<World> {
  const launched = launchedBy(process.env);
  if (launched === undefined || launched.size === 1) return worldOfOne;
  return mpiWorld(launched);
}

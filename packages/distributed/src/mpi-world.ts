import { writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { DmaeError, type World } from "@dmae/core";
import { type Addon, buildAddon, type Facts, loadAddon, mpiCompiler } from "./addon.ts";
import { checkData, checkRoot, operationNumber } from "./checks.ts";
import type { Launched } from "./launcher.ts";

/** Numbers of the operations in `mpi.c`. */
const [ALL_REDUCE, BROADCAST, BARRIER] = [1, 2, 3];

/** Milliseconds that rank 0 has to say it alone, where all ranks fail for the same reason. */
const SAME_REASON = 300;

/** A world, and what MPI says about this process. */
export interface MpiWorld extends World {
  readonly facts: Facts;
}

/** Starts MPI in this process. */
export async function mpiWorld(launched: Launched): Promise<MpiWorld> {
  const addon = loadAddon(await buildAddon());
  // ranks that wait leave their core to those that compute
  process.env.OMPI_MCA_mpi_yield_when_idle ??= "1";
  const facts = await addon.init().catch((cause: Error) => refuse("MPI_Init", cause));
  checkSize(facts, launched);
  const { rank, size } = facts;
  process.on("exit", (code) => {
    if (code === 0) addon.finalize(); // after a failure the launcher ends the other ranks
  });
  process.on("uncaughtExceptionMonitor", (error) => {
    writeSync(2, `rank ${rank} of ${size}: ${(error as Error)?.message ?? error}\n`);
  });
  return { rank, size, facts, ...operations(addon, facts) };
}

function operations(
  addon: Addon,
  { rank, size }: Facts,
): Pick<World, "allReduce" | "broadcast" | "barrier" | "abort"> {
  const run = (caller: string, kind: number, data: unknown, argument: number) =>
    addon.collective(kind, data, argument).catch((cause: Error) => refuse(caller, cause));
  return {
    async allReduce(data, operation = "sum") {
      checkData("allReduce", data);
      await run("allReduce", ALL_REDUCE, data, operationNumber(operation));
      return data;
    },
    async broadcast(data, root = 0) {
      checkData("broadcast", data);
      checkRoot(root, size);
      await run("broadcast", BROADCAST, data, root);
      return data;
    },
    barrier: () => run("barrier", BARRIER, null, 0),
    async abort(reason) {
      if (rank > 0) await setTimeout(SAME_REASON);
      writeSync(2, `rank ${rank} of ${size}: ${textOf(reason)}\n`);
      return addon.abort(1);
    },
  };
}

/** A `DmaeError` says enough; of any other one its place matters too. */
function textOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return DmaeError.isInstance(reason) ? reason.message : (reason.stack ?? reason.message);
}

function refuse(caller: string, cause: Error): never {
  throw new DmaeError(
    "unsupported",
    `${caller}: MPI failed: ${cause.message}; every rank must call the same operations with arrays of equal type and length`,
    {},
    { cause },
  );
}

/** Name and version of a library. */
export const libraryOf = ({ library }: Pick<Facts, "library">): string =>
  library.split(/,|\n/, 1)[0]!.replace(/:?\s+/g, " ").trim();

/** A launcher of one MPI starts processes that the library of another one takes for single. */
export function checkSize({ size, library }: Facts, launched: Launched): void {
  if (launched.size === undefined || launched.size === size) return;
  throw new DmaeError(
    "unsupported",
    `world: ${launched.launcher} started ${launched.size} processes (${launched.variable}), but ${libraryOf({ library })} ` +
      `sees ${size}; launcher and library must be of one MPI: use the mpirun that belongs to ${mpiCompiler()}` +
      `${launched.launcher === "srun" ? " or srun --mpi=pmix" : ""}, or set MPICC to the other one's compiler`,
    { launched: launched.size, size },
  );
}

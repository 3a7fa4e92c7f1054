import { compiledExecutor } from "@dmae/compile";
import { defaultExecutor, physicalCores } from "@dmae/compile/executors";
import type { World } from "@dmae/core";
import { gatherTexts } from "@dmae/core/ranks";
import type { Executor } from "@dmae/nn";

/** The default executor; ranks of one machine share its cores. */
export async function rankExecutor(world?: World): Promise<Executor> {
  const executor = await defaultExecutor();
  if (world === undefined || !executor.name.startsWith("compiled:")) return executor;
  return compiledExecutor({ threads: await rankThreads(world) });
}

/**
 * Threads for this rank: the cores that the launcher has bound it to, else its share of the machine's. Every rank calls
 * it.
 */
export async function rankThreads(world: World): Promise<number> {
  const os = await import("node:os");
  const cores = physicalCores();
  const isBound = os.availableParallelism() < os.cpus().length;
  const hosts = await gatherTexts(world, `${os.hostname()} ${isBound}`);
  const sharing = hosts.filter((host) => host === hosts[world.rank]).length;
  return isBound ? cores : Math.max(1, Math.floor(cores / sharing));
}

import { compiledExecutor } from "@dmae/compile";
import { defaultExecutor, physicalCores } from "@dmae/compile/executors";
import type { World } from "@dmae/core";
import { gatherTexts } from "@dmae/core/ranks";
import type { Executor } from "@dmae/nn";

/**
 * The default executor. Ranks of one machine that may use all of its cores share them; where the launcher has bound
 * each to its own cores, it uses those.
 */
export async function rankExecutor(world?: World): Promise<Executor> {
  const executor = await defaultExecutor();
  if (world === undefined || !executor.name.startsWith("compiled:")) return executor;
  const os = await import("node:os");
  const cores = physicalCores();
  const isBound = os.availableParallelism() < os.cpus().length;
  const hosts = await gatherTexts(world, `${os.hostname()} ${isBound}`);
  const sharing = hosts.filter((host) => host === hosts[world.rank]).length;
  const threads = isBound ? cores : Math.max(1, Math.floor(cores / sharing));
  return compiledExecutor({ threads });
}

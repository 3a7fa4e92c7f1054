import { DmaeError, type World } from "@dmae/core";
import { ranksOf } from "@dmae/core/ranks";

/**
 * Throws where several ranks would train a model with running statistics: they are those of a whole batch, of which each
 * rank sees its rows alone.
 */
export function refuseBatchNorm(
  caller: string,
  { buffers }: { readonly buffers: readonly string[] },
  world: World | undefined,
): void {
  if (ranksOf(caller, world) === undefined || buffers.length === 0) return;
  throw new DmaeError(
    "unsupported",
    `${caller}: a model with batch normalisation (${buffers[0]}) depends on its whole batch, so that it trains on one rank, got ${world!.size}`,
    { size: world!.size },
  );
}

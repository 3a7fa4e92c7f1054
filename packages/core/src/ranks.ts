import { DmaeError } from "./errors.ts";
import type { World } from "./world.ts";

/**
 * The ranks that share a job; undefined for a world of one, or none.
 *
 * @param caller the function whose name errors carry
 * @throws DmaeError "argument" for what is no world, such as a promise of one: each process would work alone
 */
export function ranksOf(caller: string, world: World | undefined): World | undefined {
  if (world === undefined) return undefined;
  const { rank, size, allReduce } = (world ?? {}) as Partial<World>;
  const isWorld = Number.isInteger(rank) && Number.isInteger(size) && rank! >= 0 && rank! < size!;
  if (isWorld && typeof allReduce === "function") return size === 1 ? undefined : world;
  const isPromise = typeof (world as { then?: unknown } | null)?.then === "function";
  throw new DmaeError(
    "argument",
    `${caller}: world must be what world() of @dmae/distributed resolves to, got ${isPromise ? "a promise; write await world()" : String(world)}`,
  );
}

/**
 * A text of each rank, on every rank, in the order of the ranks.
 *
 * @example
 * const hosts = await gatherTexts(world, hostname());
 */
export async function gatherTexts(world: World, text: string): Promise<string[]> {
  const bytes = new TextEncoder().encode(text);
  const lengths = new Int32Array(world.size);
  lengths[world.rank] = bytes.length;
  await world.allReduce(lengths);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const all = new Uint8Array(total);
  let start = 0;
  const starts = Array.from(lengths, (length) => {
    start += length;
    return start - length;
  });
  all.set(bytes, starts[world.rank]);
  await world.allReduce(all);
  return starts.map((from, rank) =>
    new TextDecoder().decode(all.subarray(from, from + lengths[rank]!)),
  );
}

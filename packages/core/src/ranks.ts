import type { World } from "./world.ts";

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

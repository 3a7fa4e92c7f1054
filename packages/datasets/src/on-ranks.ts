import type { World } from "@dmae/core";

/** Does the tasks of this rank, every `size`-th; an error on one rank ends the job. */
export async function eachOnRank(
  world: World | undefined,
  count: number,
  task: (index: number) => Promise<void>,
): Promise<void> {
  const { rank, size } = world ?? { rank: 0, size: 1 };
  try {
    for (let i = rank; i < count; i += size) await task(i);
  } catch (error) {
    if (world === undefined) throw error;
    await world.abort(error);
  }
}

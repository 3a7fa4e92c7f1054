import { DmaeError, type HostTensor, type HostTensors, type World } from "@dmae/core";
import { gatherTexts } from "@dmae/core/ranks";
import { checksum } from "./checksum.ts";
import { differences, type SavedState } from "./run-folder.ts";

/** The state that rank 0 has loaded, on every rank. */
export async function shareSaved(
  world: World,
  saved: SavedState | undefined,
): Promise<SavedState | undefined> {
  const isFirst = world.rank === 0;
  const specs = Object.entries(saved?.state ?? {}).map(([name, { dtype, shape }]) => ({
    ...{ name, dtype, shape },
  }));
  const own = isFirst && saved ? JSON.stringify({ ...saved, state: specs }) : "";
  const [text] = await gatherTexts(world, own);
  if (!text) return undefined;
  const told = JSON.parse(text) as Omit<SavedState, "state"> & { state: typeof specs };
  const state: Record<string, HostTensor> = {};
  for (const { name, dtype, shape } of told.state) {
    const tensor = isFirst ? saved!.state[name]! : emptyTensor(dtype, shape);
    const { buffer, byteOffset, byteLength } = tensor.data;
    await world.broadcast(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
    state[name] = tensor;
  }
  return { ...told, state };
}

function emptyTensor(dtype: HostTensor["dtype"], shape: readonly number[]): HostTensor {
  const length = shape.reduce((product, side) => product * side, 1);
  const types = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
  return { dtype, shape, data: new types[dtype](length) };
}

/**
 * Compares facts over the ranks.
 *
 * @throws DmaeError "argument" naming what differs from rank 0, and on which rank; on every rank
 */
export async function requireEqual(
  world: World,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  const texts = await gatherTexts(world, JSON.stringify(facts));
  const [first] = texts;
  for (const [rank, text] of texts.entries()) {
    if (text === first) continue;
    const found = differences(JSON.parse(first!), JSON.parse(text)).map(
      ({ path, before, after }) => `${path}: ${before} on rank 0, ${after} on rank ${rank}`,
    );
    throw new DmaeError(
      "argument",
      `fit: every rank must run the same training, but these differ: ${found.join("; ")}`,
      { rank, differences: found },
    );
  }
}

/**
 * Compares the parameters over the ranks, buffers left out: each rank keeps its own running statistics.
 *
 * @throws DmaeError "numeric" naming the rank and the step
 */
export async function requireEqualParams(
  world: World,
  state: HostTensors,
  buffers: ReadonlySet<string>,
  step: number,
): Promise<void> {
  const entries = Object.entries(state).filter(
    ([name]) => name.startsWith("params.") && !buffers.has(name.slice("params.".length)),
  );
  const sums = await gatherTexts(world, checksum(Object.fromEntries(entries)));
  const rank = sums.findIndex((sum) => sum !== sums[0]);
  if (rank < 0) return;
  throw new DmaeError(
    "numeric",
    `fit: the parameters of all ranks must be equal, but those of rank ${rank} differ from rank 0 after step ${step - 1}; ` +
      "use the same processors, packages and compilers everywhere",
    { rank, step },
  );
}

import { pad, reshape, slice, transpose } from "../graph/build.ts";
import { type Graph, sizeOf, type Value } from "../graph/graph.ts";
import { refuseShape, refuseUnsupported, shown } from "../graph/refuse.ts";
import type { KernelAttributes, Kernels } from "./register.ts";

function spaceToBatch(g: Graph, x: Value, block: number[], paddings: [number, number][]): Value {
  const rest = x.shape.slice(1 + block.length);
  const padded = pad(g, x, [[0, 0], ...paddings, ...rest.map((): [number, number] => [0, 0])], 0);
  const batch = x.shape[0]!;
  const spatial = block.map((b, i) => padded.shape[1 + i]! / b);
  const apart = [batch, ...spatial.flatMap((s, i) => [s, block[i]!]), ...rest];
  const order = [
    ...block.map((_, i) => 2 + 2 * i),
    0,
    ...block.map((_, i) => 1 + 2 * i),
    ...rest.map((_, i) => 1 + 2 * block.length + i),
  ];
  const moved = transpose(g, reshape(g, padded, apart), order);
  return reshape(g, moved, [batch * sizeOf(block), ...spatial, ...rest]);
}

function batchToSpace(g: Graph, x: Value, block: number[], crops: [number, number][]): Value {
  const rest = x.shape.slice(1 + block.length);
  const batch = x.shape[0]! / sizeOf(block);
  const spatial = x.shape.slice(1, 1 + block.length);
  const order = [
    block.length,
    ...block.flatMap((_, i) => [block.length + 1 + i, i]),
    ...rest.map((_, i) => 2 * block.length + 1 + i),
  ];
  const moved = transpose(g, reshape(g, x, [...block, batch, ...spatial, ...rest]), order);
  const whole = reshape(g, moved, [batch, ...spatial.map((s, i) => s * block[i]!), ...rest]);
  const begin = [0, ...crops.map(([a]) => a), ...rest.map(() => 0)];
  const size = whole.shape.map((d, i) => {
    const crop = crops[i - 1];
    return i >= 1 && crop ? d - crop[0] - crop[1] : d;
  });
  return slice(g, whole, begin, size);
}

/** Channels `(row, column, rest)` of a pixel become a block of pixels. */
function depthToSpace(g: Graph, x: Value, { blockSize, dataFormat }: KernelAttributes): Value {
  if (dataFormat !== "NHWC")
    refuseUnsupported(`dataFormat must be NHWC, as on the cpu backend, got ${dataFormat}`);
  const [batch, height, width, depth] = x.shape as [number, number, number, number];
  const rest = depth / blockSize ** 2;
  if (!Number.isInteger(rest))
    refuseShape(
      `the channels of ${shown(x.shape)} must divide into blocks of ${blockSize} x ${blockSize}`,
    );
  const apart = reshape(g, x, [batch, height, width, blockSize, blockSize, rest]);
  const moved = transpose(g, apart, [0, 1, 3, 2, 4, 5]);
  return reshape(g, moved, [batch, height * blockSize, width * blockSize, rest]);
}

/** Blocks of pixels that become part of the batch or of the channels, and back. */
export const blocks: Kernels = {
  SpaceToBatchND: (g, { x }, { blockShape, paddings }) => spaceToBatch(g, x!, blockShape, paddings),
  BatchToSpaceND: (g, { x }, { blockShape, crops }) => batchToSpace(g, x!, blockShape, crops),
  DepthToSpace: (g, { x }, attrs) => depthToSpace(g, x!, attrs),
};

import { binary, cast, expand, reduce, reshape } from "../graph/build.ts";
import { constantNumbers } from "../graph/evaluate.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { refuseUnsupported } from "../graph/refuse.ts";
import { broadcastShape, requireIndexRows } from "../graph/shape-rules.ts";
import type { Kernels } from "./register.ts";

/** How many of a sorted row come before each value (`left`), or not after it. */
function searchSorted(g: Graph, sorted: Value, values: Value, side: "left" | "right"): Value {
  const [batch, length] = sorted.shape as [number, number];
  const row = reshape(g, sorted, [batch, 1, length]);
  const column = reshape(g, values, [batch, values.shape[1]!, 1]);
  const before = binary(g, side === "left" ? "Less" : "LessOrEqual", row, column);
  return reduce(g, "ReduceSum", cast(g, before, "int32"), [2]);
}

/** `values` at `indices` (no two of them equal), `filling` elsewhere. */
function sparseToDense(
  g: Graph,
  indices: Value,
  values: Value,
  filling: Value,
  shape: readonly number[],
): Value {
  const rows = indices.shape[0] ?? 1;
  const table = reshape(g, indices, [rows, indices.shape[1] ?? 1]);
  requireIndexRows(shape, table);
  const updates = expand(g, reshape(g, values, [values.shape[0] ?? 1]), [rows]);
  const inputs = [expand(g, filling, shape), cast(g, table, "int64"), updates];
  return g.add("ScatterND", inputs, {});
}

/** The shape to which two shapes, given as tensors, broadcast. */
function broadcastArgs(g: Graph, a: Value, b: Value): Value {
  const [first, second] = [constantNumbers(a), constantNumbers(b)];
  if (!first || !second)
    return refuseUnsupported(
      "shapes must be known while the function is traced, not computed from inputs",
    );
  const shape = broadcastShape(first, second);
  return g.constant("int32", [shape.length], Int32Array.from(shape));
}

/** Searching, sparse values and shapes as values. */
export const indexing: Kernels = {
  SearchSorted: (g, { sortedSequence, values }, { side }) =>
    searchSorted(g, sortedSequence!, values!, side),
  SparseToDense: (g, { sparseIndices, sparseValues, defaultValue }, { outputShape }) =>
    sparseToDense(g, sparseIndices!, sparseValues!, defaultValue!, outputShape),
  BroadcastArgs: (g, { s0, s1 }) => broadcastArgs(g, s0!, s1!),
};

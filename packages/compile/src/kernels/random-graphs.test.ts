import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { expectEager } from "../testing/expect-eager.ts";
import { expectEagerOnShim } from "../testing/on-shim.ts";
import { randomGraphs } from "../testing/random-graphs.ts";
import { findCCompiler } from "./c-compiler.ts";

const compiler = await findCCompiler();
const folder = temporaryFolders("random-graphs")();
const tolerance = 1e-4;

beforeAll(() => tf.setBackend("cpu"));

it.skipIf(!compiler)(
  "random graphs of what kernels join give the eager backend's numbers",
  async () => {
    for (const { fn, inputs } of randomGraphs(11, 5, [6, 10]))
      expect(await expectEager(fn, inputs, { kernels: "generated", tolerance })).toBeGreaterThan(0);
  },
);

// Rows of a part of a warp, of a warp by vectors and by numbers, of a block; more rows than parts.
it.skipIf(!compiler).each([
  [6, 10],
  [21, 36],
  [5, 301],
  [3, 1060],
  [2500, 3],
] as const)("the same in CUDA, on matrices of %i x %i", async (rows, columns) => {
  for (const { fn, inputs } of randomGraphs(rows, 2, [rows, columns]))
    expect(await expectEagerOnShim(fn, inputs, { folder, tolerance })).toBeGreaterThan(0);
});

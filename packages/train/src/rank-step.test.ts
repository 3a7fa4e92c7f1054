import type { HostTensors, World } from "@dmae/core";
import type { Executor } from "@dmae/nn";
import { expect, it } from "vitest";
import { localWorlds } from "../../../testing/worlds.ts";
import { prepareRankStep } from "./rank-step.ts";
import type { SplitStep } from "./train-step.ts";

const split: SplitStep = {
  gradients: () => ({ state: {}, metrics: {} }),
  update: () => ({ state: {}, metrics: {} }),
  buffers: new Set(),
  withGradients: (state: HostTensors) => state,
  inputs: () => ({ gradients: {}, update: {} }),
};
const executor = {
  name: "test",
  prepareSteps: async () => ({
    run: async () => ({ loss: 1 }),
    exchange: (change: (arrays: readonly Float32Array[]) => Promise<void>) =>
      change([new Float32Array(1)]),
    state: async () => ({}),
    dispose() {},
  }),
} as unknown as Executor;

it("fails where the exchange of gradients fails, and leaves no other rejection behind", async () => {
  const broken: World = {
    ...localWorlds(1).worlds[0]!,
    allReduce: async () => {
      throw new Error("MPI failed");
    },
  };
  const ranks = { world: broken, split, share: 1 };
  const step = await prepareRankStep(executor, { state: {}, batch: {} }, ranks);
  const left: unknown[] = [];
  const note = (reason: unknown) => left.push(reason);
  process.on("unhandledRejection", note);
  await expect(step.run({}, 0, false)).rejects.toThrow("MPI failed");
  await new Promise((resolve) => setImmediate(resolve)); // rejections are told after the microtasks
  process.off("unhandledRejection", note);
  expect(left).toEqual([]);
});

import { expect, it } from "vitest";
import type { Place } from "../kernels/native-session.ts";
import { BoundProgram, type StatePlaces } from "./bound-program.ts";
import type { Device } from "./device.ts";
import { recordingOf } from "./recording.ts";

/** A card that adds 1 to its state, and notes the graph of every run: "sides read and written: graph". */
function fakeCard(refuses: (graph: string) => boolean = () => false) {
  const runs: string[] = [];
  const recording = recordingOf();
  const memory = (bytes: number) => new Float32Array(Math.max(1, bytes / 4));
  const values = (place: Place) =>
    Array.isArray(place)
      ? (place[0] as Float32Array).subarray(place[1] / 4)
      : new Float32Array((place as Uint8Array).buffer as ArrayBuffer);
  const device = {
    ...recording,
    cuda: {},
    allocate: memory,
    free: () => {},
    staging: (bytes: number) => new ArrayBuffer(bytes),
    copy: (from: Place, to: Place, bytes: number) =>
      recording.beside(async () => values(to).set(values(from).subarray(0, bytes / 4))),
    addon: {
      bind: (_: object, inputs: readonly Place[], outputs: readonly Place[]) => ({
        inputs,
        outputs,
      }),
      async runBound(_: object, binding: object, graph: string) {
        const { inputs, outputs } = binding as { inputs: Place[]; outputs: Place[] };
        if (refuses(graph)) throw new Error("CUDA failure 901: operation not permitted");
        const [state, x] = inputs.map(values);
        values(outputs[0]!)[0] = state![0]! + x![0]!;
        values(outputs[1]!)[0] = state![0]!;
        runs.push(graph);
      },
      release: () => {},
    },
  } as unknown as Device;
  return { device, runs };
}

/** A step on one number, in two places that take turns. */
function stepOn(device: Device) {
  const spec = { dtype: "float32", shape: [1] } as const;
  const program = new BoundProgram(device, {
    session: {},
    inputs: new Map([
      ["s", spec],
      ["x", spec],
    ]),
    outputs: new Map([
      ["next", spec],
      ["before", spec],
    ]),
    state: new Set(["s", "next"]),
    graphs: true,
  });
  const blocks = [device.allocate(4), device.allocate(4)];
  let side = 0;
  const places = (): StatePlaces => ({
    key: String(side),
    inputs: new Map([["s", [blocks[side]!, 0] as const]]),
    outputs: new Map([["next", [blocks[1 - side]!, 0] as const]]),
  });
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(task: () => Promise<T>) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
  const done = () => void (side = 1 - side);
  return async (x: number) => {
    const values = { x: { data: Float32Array.of(x) } };
    const { before } = await program.call(values, { inTurn, places, done });
    return before!.data[0];
  };
}

it("records a graph for each set of addresses, and replays them", async () => {
  const { device, runs } = fakeCard();
  const step = stepOn(device);
  expect(await Promise.all([1, 2, 3, 4, 5].map(step))).toEqual([0, 1, 3, 6, 10]);
  expect(runs).toEqual(["1", "2", "1", "2", "1"]);
});

it("records at most four graphs", async () => {
  let failing = false;
  const { device, runs } = fakeCard(() => failing);
  const step = stepOn(device);
  for (const fails of [0, 0, 1, 0, 0, 1, 0, 0]) {
    failing = fails === 1;
    const result = step(1);
    if (failing) await expect(result).rejects.toThrow("901");
    else await result;
  }
  expect(runs).toEqual(["1", "2", "3", "4", "1", "2"]);
});

it("goes on without graphs where none can be recorded, and loses no step", async () => {
  const { device, runs } = fakeCard((graph) => graph !== "-1");
  const step = stepOn(device);
  expect(await Promise.all([1, 2, 3].map(step))).toEqual([0, 1, 3]);
  expect(runs).toEqual(["-1", "-1", "-1"]);
});

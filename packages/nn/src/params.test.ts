import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import type { HostTensors } from "@dmae/core";
import { beforeAll, describe, expect, test } from "vitest";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { disposeTensors, selectBackend, toHost, toTensors } from "./index.ts";

const host: HostTensors = {
  weight: { dtype: "float32", shape: [2, 2], data: new Float32Array([1, -2, 0.1, 3e38]) },
  order: { dtype: "int32", shape: [3], data: new Int32Array([2, 0, -1]) },
  keep: { dtype: "bool", shape: [2], data: new Uint8Array([1, 0]) },
  scalar: { dtype: "float32", shape: [], data: new Float32Array([7]) },
};

describe.each(["cpu", "wasm"])("host and device on %s", (backend) => {
  beforeAll(() => selectBackend(backend));

  test("there and back is the identity, bit for bit, and nothing stays", async () => {
    await expectNoLeak(async () => {
      const tensors = toTensors(host);
      expect(await toHost(tensors)).toEqual(host);
      disposeTensors(tensors);
    });
  });

  test("both directions copy: later writes do not show", async () => {
    const data = new Float32Array([1, 2]);
    const tensors = toTensors({ x: { dtype: "float32", shape: [2], data } });
    data[0] = 9;
    const first = await toHost(tensors);
    expect(Array.from(first.x!.data)).toEqual([1, 2]);
    first.x!.data[1] = 9;
    expect(Array.from((await toHost(tensors)).x!.data)).toEqual([1, 2]);
    disposeTensors(tensors);
  });
});

test("a length that does not fit the shape is named", () => {
  const bad = { x: { dtype: "float32", shape: [2, 3], data: new Float32Array(5) } } as const;
  expect(() => toTensors(bad)).toThrow("toTensors: x of shape [2,3] needs 6 values, got 5");
});

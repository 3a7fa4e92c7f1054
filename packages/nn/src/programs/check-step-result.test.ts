import "@tensorflow/tfjs-backend-cpu";
import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { expectNoLeak } from "../../../../testing/tensors.ts";
import { eagerExecutor, selectBackend } from "../index.ts";

beforeAll(() => selectBackend("cpu"));

const w: HostTensor = { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) };

async function message(step: unknown): Promise<string> {
  let text = "";
  await expectNoLeak(async () => {
    const prepared = await eagerExecutor().prepareStep(step as never, { state: { w }, batch: {} });
    text = (await failure(() => prepared({}))).message;
    expect(await prepared.state()).toEqual({ w }); // as it was
    prepared.dispose();
  });
  return text;
}

describe("an eager step", () => {
  test("refuses metrics of more than one number", async () => {
    expect(await message((state: object) => ({ state, metrics: { m: tf.ones([2]) } }))).toBe(
      "call: metric m must be a tensor of one number, got float32 [2]; reduce it, with tf.mean or tf.sum",
    );
    expect(await message((state: object) => ({ state, metrics: { m: 3 } }))).toBe(
      "call: metric m must be a tensor of one number, got 3",
    );
  });

  test("refuses results without state or metrics, and promises", async () => {
    expect(await message((state: object) => ({ state }))).toBe(
      "call: the step must return {state, metrics}, two records of tensors; state was a record, metrics absent",
    );
    expect(await message(() => undefined)).toContain("state was absent, metrics absent");
    expect(await message(async () => ({ state: {}, metrics: {} }))).toBe(
      "call: the step must be synchronous, got a promise",
    );
    expect(await message(() => ({ state: { w: null }, metrics: {} }))).toContain(
      "w was float32 [2], became null",
    );
  });
});

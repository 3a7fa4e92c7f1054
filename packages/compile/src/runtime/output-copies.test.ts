import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { compileStep } from "../index.ts";
import { endsAtMarker, MARKER, runWithoutCopies } from "./output-copies.ts";
import { type LoadedRuntime, loadRuntime, type RuntimeSession } from "./runtime.ts";

const floats = (...values: number[]) => ({
  dtype: "float32" as const,
  shape: [values.length],
  data: Float32Array.from(values),
});

const count = ({ w }: Record<string, tf.Tensor>, { x }: Record<string, tf.Tensor>) => ({
  state: { w: tf.add(w!, x!) },
  metrics: { sum: tf.sum(x!) },
});

const init = { state: { w: floats(1, 2) }, batch: { x: { shape: [2] } } };

describe("runs that end before onnxruntime-node copies the outputs", () => {
  it("work with the installed onnxruntime-node", async () => {
    // If this fails after an update, look whether the new version still copies; steps are right either way.
    expect(await endsAtMarker(await loadRuntime("test", {}))).toBe(true);
  });

  it("give the same steps as runs that copy", async () => {
    const plain = await compileStep(count, init, { onnxruntime: ort });
    const marked = await compileStep(count, init);
    for (const step of [plain, marked]) {
      expect(await step({ x: floats(1, 1) })).toEqual({ sum: 2 });
      expect(await step({ x: floats(0.5, -3) })).toEqual({ sum: -2.5 });
      expect((await step.state()).w!.data).toEqual(Float32Array.of(2.5, 0));
      step.dispose();
    }
  });

  it("are not taken for other failures", async () => {
    const session = { run: () => Promise.reject(new Error("Non-zero status code")) };
    await expect(runWithoutCopies(session as never, {}, {})).rejects.toThrow("status code");
  });

  it("are not used with a runtime that represents the sequence", async () => {
    class Session {
      static create = async () => new Session();
      run: RuntimeSession["run"] = async (_feeds, fetches) =>
        ({ ...fetches, [MARKER]: {} }) as never;
      release = async () => {};
    }
    const runtime = { InferenceSession: Session, Tensor: ort.Tensor } as unknown as LoadedRuntime;
    expect(await endsAtMarker(runtime)).toBe(false);
  });
});

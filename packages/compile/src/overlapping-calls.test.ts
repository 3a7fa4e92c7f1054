import type { HostTensor } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import * as ort from "onnxruntime-web"; // runs in Node, too
import { beforeAll, describe, expect, it } from "vitest";
import { compile, compileStep } from "./index.ts";
import type { RuntimeSession } from "./runtime/runtime.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

let running = 0;

/** A session that refuses a second run at a time, of any session, as WebGPU does, and a release meanwhile. */
function strict(session: RuntimeSession): RuntimeSession {
  let isReleased = false;
  return {
    async run(feeds, fetches) {
      if (isReleased) throw new Error("Session was released");
      if (running > 0) throw new Error("Session already started");
      running++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      try {
        return await session.run(feeds, fetches);
      } finally {
        running--;
      }
    },
    async release() {
      if (running > 0) throw new Error("released during a run");
      isReleased = true;
      await session.release();
    },
  };
}

const onnxruntime = {
  Tensor: ort.Tensor,
  InferenceSession: {
    create: async (...model: Parameters<typeof ort.InferenceSession.create>) =>
      strict((await ort.InferenceSession.create(...model)) as unknown as RuntimeSession),
  },
};
const runtimes = [
  ["onnxruntime-node", {}],
  ["onnxruntime-web", { provider: "wasm", onnxruntime }],
] as const;
const vector = (...values: number[]): HostTensor => ({
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const total = ({ x }: { x: tf.Tensor }) => ({ y: tf.sum(tf.square(x)) });
const walk = ({ w, v }: Record<string, tf.Tensor>, { x }: Record<string, tf.Tensor>) => ({
  state: { w: tf.add(w!, x!), v: tf.sub(v!, w!) },
  metrics: { sum: tf.sum(w!) },
});
const init = { state: { w: vector(1, 2), v: vector(0, 0) }, batch: { x: { shape: [2] } } };

describe.each(runtimes)("calls that overlap, on %s", (_, options) => {
  const functionOf = (size: number) => compile(total, { x: { shape: [size] } }, options);

  it("are answered as if each were alone, whatever their sizes, also beside ones that fail", async () => {
    const programs = await Promise.all([1, 3, 2].map(functionOf));
    const step = await compileStep(walk, init, options);
    const calls = Array.from({ length: 12 }, (_, i) => ({
      program: programs[i % 3]!,
      x: vector(...[1, 3, 2].slice(0, [1, 3, 2][i % 3]).map((value) => value + i)),
    }));
    const wrong = () => programs[0]!({ x: vector(1, 2) });
    const results = await Promise.allSettled([
      wrong(),
      ...calls.map(({ program, x }) => program({ x })),
      step({ x: vector(10, 20) }),
      wrong(),
      step({ x: vector(10, 20) }),
    ]);
    const values = results.map((result) =>
      result.status === "rejected"
        ? "failed"
        : "y" in result.value
          ? (result.value.y as HostTensor).data[0]
          : result.value,
    );
    const want = calls.map(({ x }) =>
      [...(x.data as Float32Array)].reduce((sum, v) => sum + v ** 2, 0),
    );
    expect(values).toEqual(["failed", ...want, { sum: 3 }, "failed", { sum: 33 }]);
    for (const made of [...programs, step]) made.dispose();
  });

  it("end when the program is disposed of meanwhile; later ones are refused", async () => {
    const program = await functionOf(2);
    const answers = [program({ x: vector(1, 2) }), program({ x: vector(3, 4) })];
    program.dispose();
    program.dispose();
    expect((await Promise.all(answers)).map(({ y }) => y.data[0])).toEqual([5, 25]);
    await expect(program({ x: vector(1, 2) })).rejects.toThrow("was disposed of");
  });

  it("of a step end, too, and so does the reading of its state", async () => {
    const step = await compileStep(walk, init, options);
    const answers = [step({ x: vector(10, 20) }), step({ x: vector(10, 20) })];
    const state = step.state();
    step.dispose();
    expect(await Promise.all(answers)).toEqual([{ sum: 3 }, { sum: 33 }]);
    expect([...(await state).v!.data]).toEqual([-12, -24]);
    await expect(step({ x: vector(1, 2) })).rejects.toThrow("was disposed of");
    await expect(step.state()).rejects.toThrow("was disposed of");
  });
});

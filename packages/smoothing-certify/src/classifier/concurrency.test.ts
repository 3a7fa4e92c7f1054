import { type ImageDataset, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { halves, steps } from "../__fixtures__/steps.ts";
import { openWrappers, type Wrapper } from "../__fixtures__/wrappers.ts";
import { certify } from "../procedures/certify.ts";
import { certifyDataset } from "../procedures/certify-dataset.ts";
import { certifySoft } from "../procedures/soft-votes.ts";
import type { ClassifierFunction } from "./classifier.ts";
import { inWorkers } from "./classifier-workers.ts";
import { fromOnnx } from "./from-onnx.ts";
import type { ImageInput } from "./image.ts";
import { readNumbers } from "./outputs.ts";

const folder = temporaryFolders("wrappers");
let wrappers: Wrapper[];
beforeAll(async () => {
  wrappers = await openWrappers(folder());
});
afterAll(async () => {
  for (const wrapper of wrappers) await wrapper.dispose();
});

const imageOf = (seed: string): ImageInput => {
  const draw = generator(key(seed));
  return { data: Float32Array.from({ length: 48 }, draw), shape: [4, 4, 3] };
};
const options = { seed: 0, sigma: 0.5, n0: 20, n: 60, numClasses: 3 };
const outcome = <T>(promise: Promise<T>) =>
  promise.then(
    (value) => ({ value }),
    (error: Error) => ({ error: error.message }),
  );

describe("calls that overlap", () => {
  // by name, as the classifiers are made later
  it.each(["fromOnnx", "fromOnnx, normalize", "inWorkers", "fromCompiled", "ensemble", "denoised"])(
    "%s answers each call as if it were alone, whatever the batches, also beside one that fails",
    async (name) => {
      const { predict } = wrappers.find((wrapper) => wrapper.name === name)!.classifier as {
        predict: ClassifierFunction;
      };
      const call = async (batch: Float32Array) => {
        const { values } = await readNumbers(
          await predict(batch, [Math.floor(batch.length / 48), 4, 4, 3]),
        );
        return [...(values as Float32Array)];
      };
      const draw = generator(key(name));
      const batches = [1, 7, 3, 8, 2, 7].map((rows) =>
        Float32Array.from({ length: 48 * rows }, draw),
      );
      const alone: number[][] = [];
      for (const batch of batches) alone.push(await call(batch));
      const wrong = () => outcome(call(new Float32Array(50)));
      const [first, failed, ...others] = await Promise.all([
        call(batches[0]!),
        wrong(),
        ...batches.slice(1).map(call),
        wrong(),
      ]);
      expect(failed).toHaveProperty("error");
      expect([first, ...others.slice(0, -1)]).toEqual(alone);
    },
  );

  it("fromOnnx has read the batch when the call returns", async () => {
    const { predict } = wrappers[0]!.classifier as { predict: ClassifierFunction };
    const batch = Float32Array.from({ length: 96 }, generator(key("lent")));
    const shape = [2, 4, 4, 3];
    const want = (await readNumbers(await predict(batch, shape))).values;
    const answer = predict(batch, shape);
    batch.fill(0);
    expect((await readNumbers(await answer)).values).toEqual(want);
  });
});

it("fromOnnx runs one session of a runtime for browsers at a time", async () => {
  let running = 0;
  const session = {
    inputNames: ["x"],
    outputNames: ["y"],
    async run({ x }: { x: { data: Float32Array } }) {
      if (running++ > 0) throw new Error("Session already started");
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      return { y: { data: x.data.slice(0, 2), dims: [1, 2] } };
    },
  };
  class Tensor {
    constructor(
      readonly type: string,
      readonly data: Float32Array,
    ) {}
  }
  const onnxruntime = { InferenceSession: class {}, Tensor };
  const [a, b] = [
    await fromOnnx(session as never, { onnxruntime }),
    await fromOnnx({ ...session } as never, { onnxruntime }),
  ];
  const answers = await Promise.all(
    [a, b, a].map((classifier, i) => classifier.predict(Float32Array.of(i, 0, 0), [1, 3])),
  );
  expect(answers.map((answer) => (answer as { data: Float32Array }).data[0])).toEqual([0, 1, 2]);
});

describe("runs that overlap", () => {
  it("keep the images of a data set that hands out the same memory each time", async () => {
    const memory = new Float32Array(1);
    const dataset = { ...steps(20), get: (i: number) => ({ ...steps(20).get(i), image: memory }) };
    const reusing = {
      ...dataset,
      get(i: number) {
        memory[0] = i / 20;
        return dataset.get(i);
      },
    };
    const rows = async (images: ImageDataset) => {
      const found = [];
      for await (const { time: _, ...row } of certifyDataset(halves, images, {
        seed: 0,
        sigma: 0.5,
        n: 50,
      }))
        found.push(row);
      return found;
    };
    expect(await rows(reusing as ImageDataset)).toEqual(await rows(steps(20)));
  });

  it("count the votes of runs alone, beside ones that fail or are stopped", async () => {
    const [first, second] = [imageOf("a"), imageOf("b")];
    for (const { name, classifier } of wrappers) {
      const run = (image: ImageInput, more: object = {}) =>
        certify(classifier, image, { ...options, ...more });
      const alone = [await run(first), await run(second)];
      const stop = new AbortController();
      const [a, failed, b, stopped] = await Promise.all([
        run(first),
        outcome(run({ data: new Float32Array(12), shape: [2, 2, 3] })),
        run(second, { batchSize: 7 }),
        outcome(run(second, { n: 100_000, signal: stop.signal })),
        run(first, { seed: 1 }).then(() => stop.abort(new Error("enough"))),
      ]);
      expect([name, a, b]).toEqual([name, ...alone]);
      expect([name, failed]).toEqual([name, { error: expect.any(String) }]);
      expect(stopped).toEqual({ error: "enough" });
    }
  });

  it("keep the logits of a classifier that answers in the same memory each time", async () => {
    const memory = new Float32Array(2 * 512);
    const reusing = (batch: Float32Array, [rows = 0]: number[]) => {
      for (let row = 0; row < rows; row++) memory[2 * row + 1] = 4 * batch[row]!;
      return memory.subarray(0, 2 * rows);
    };
    const fresh: typeof reusing = (batch, shape) => reusing(batch, shape).slice();
    const want = [];
    for (const pixel of [0.1, 0.4])
      want.push(await certifySoft(fresh, [pixel], { seed: 0, sigma: 0.5 }));
    expect(await certifySoft(reusing, [0.1], { seed: 0, sigma: 0.5 })).toEqual(want[0]);
    const both = [0.1, 0.4].map((pixel) => certifySoft(reusing, [pixel], { seed: 0, sigma: 0.5 }));
    expect(await Promise.all(both)).toEqual(want);
  });
});

describe("a thread that ends", () => {
  const module = new URL("../__fixtures__/linear.mjs", import.meta.url);
  const [good, bad] = [new Float32Array(96).fill(0.5), new Float32Array(96).fill(101)];

  it.each([
    ["exits", /inWorkers: a thread exited with code 7; make the classifier anew/],
    ["explodes", /inWorkers: a thread failed: out of memory/],
  ] as const)("rejects the calls that wait for it, and later ones (%s)", async (name, message) => {
    const classifier = await inWorkers(module, { workers: 1, export: name });
    const call = (batch: Float32Array) => outcome(classifier.predict(batch, [2, 4, 4, 3]) as never);
    expect(await call(good)).toHaveProperty("value");
    const [failed, waiting] = await Promise.all([call(bad), call(good)]);
    for (const answer of [failed, waiting, await call(good)])
      expect(answer).toEqual({ error: expect.stringMatching(message) });
    await expect(certify(classifier, imageOf("x"), options)).rejects.toMatchObject({
      code: "classifier",
    });
    await classifier.dispose();
  });

  it("rejects calls after dispose", async () => {
    const classifier = await inWorkers(module, { workers: 2 });
    const waiting = outcome(classifier.predict(good, [2, 4, 4, 3]) as never);
    await classifier.dispose();
    for (const answer of [waiting, outcome(classifier.predict(good, [2, 4, 4, 3]) as never)])
      expect(await answer).toEqual({ error: expect.stringContaining("it was disposed of") });
  });
});

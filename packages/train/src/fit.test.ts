import "@tensorflow/tfjs-backend-cpu";
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeSafetensors } from "@dmae/checkpoint";
import type { HostTensors } from "@dmae/core";
import { type Executor, eagerExecutor } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { failure } from "../../../testing/failure.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { demoBatch, demoParams, demoRun, demoStep } from "./__fixtures__/demo-run.ts";
import { type FitResult, fit } from "./fit.ts";
import type { FitOptions } from "./fit-options.ts";
import { stepsBetween } from "./fit-options.ts";
import { differences, openRunFolder } from "./run-folder.ts";
import { sgd } from "./sgd.ts";
import { createTrainStep } from "./train-step.ts";

const steps = 40;
let folder: string;

beforeAll(async () => {
  await tf.setBackend("cpu");
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dmae-fit-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const bits = ({ state }: { state: HostTensors }) =>
  Object.fromEntries(
    Object.entries(state).map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
    ]),
  );

const logOf = (path: string, kind = "step") =>
  readFileSync(join(path, "log.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { seconds: _, ...rest } = JSON.parse(line);
      return rest;
    })
    .filter((line) => line.kind === kind);

describe("fit", () => {
  it("learns, reports and logs each step, and leaves no tensor behind", async () => {
    await expectNoLeak(async () => {
      const seen: number[] = [];
      const result = await demoRun({
        steps,
        folder,
        logExtra: (step) => ({ learningRate: demoStep().learningRate(step) }),
        onProgress: ({ step, epoch, epochs, secondsLeft, stepsPerSecond }) => {
          seen.push(step);
          expect(epoch).toBe(step / 10);
          expect(epochs).toBe(4);
          expect(secondsLeft).toBeCloseTo((steps - step) / stepsPerSecond, 6);
        },
      });
      expect(seen).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
      expect(result).toMatchObject({ step: steps, resumedFrom: 0 });
      const log = logOf(folder);
      expect(log.map((line) => line.step)).toEqual(seen);
      expect(log[12]).toMatchObject({
        kind: "step",
        epoch: 1.3,
        learningRate: (0.05 * (1 + Math.cos((Math.PI * 0.2) / 5))) / 2,
      });
      const mean = (lines: typeof log) =>
        lines.reduce((sum, line) => sum + line.loss, 0) / lines.length;
      const epochs = logOf(folder, "epoch");
      expect(epochs.map((line) => line.step)).toEqual([10, 20, 30, 40]);
      expectClose([epochs[1].loss], [mean(log.slice(10, 20))], { relative: 1e-12 });
      expect(mean(log.slice(30))).toBeLessThan(0.5 * mean(log.slice(0, 10)));
    });
  });

  it("keeps the loss scale of an executor that has one, and brings it batches ahead", async () => {
    const given: unknown[] = [];
    const brought: unknown[] = [];
    const called: unknown[] = [];
    const eager = eagerExecutor();
    const executor: Executor = {
      ...eager,
      async prepareStep(step, init) {
        given.push(init.scaling);
        const prepared = await eager.prepareStep(step, init);
        let good = init.scaling?.[1] ?? 0;
        const counted = async (batch: Parameters<typeof prepared>[0]) => {
          good++;
          called.push(batch);
          return prepared(batch);
        };
        const { state, dispose } = prepared;
        const bring = (batch: unknown) => void brought.push(batch);
        return Object.assign(counted, { state, dispose, bring, scaling: async () => [512, good] });
      },
    };
    for (const steps of [3, 5, 5]) await demoRun({ steps, folder, executor });
    expect(given).toEqual([undefined, [512, 3]]);
    expect(brought).toHaveLength(3); // the first batch of each of two runs was not
    for (const batch of brought) expect(called.filter((each) => each === batch)).toHaveLength(1);
    const { metadata } = decodeSafetensors(readFileSync(join(folder, "last.safetensors")));
    expect(metadata.scaling).toBe("[512,5]");
  });

  it("ends with the same bits when it is aborted and started again", async () => {
    const whole = await demoRun({ steps, folder });
    const epochs = logOf(folder, "epoch");
    rmSync(folder, { recursive: true });
    for (const stop of [1, 7, 8, 25]) {
      const controller = new AbortController();
      const reason = new Error("stop");
      const aborted = demoRun({
        steps,
        folder,
        signal: controller.signal,
        onProgress: ({ step }) => step === stop && controller.abort(reason),
      });
      await expect(aborted).rejects.toBe(reason);
      const resumed = await demoRun({ steps, folder });
      expect(resumed.resumedFrom).toBe(stop); // on abort the state is saved at once
      expect(bits(resumed)).toEqual(bits(whole));
      expect(logOf(folder, "epoch")).toEqual(epochs);
      expect(logOf(folder).map((line) => line.step)).toEqual(
        Array.from({ length: steps }, (_, i) => i + 1),
      );
      rmSync(folder, { recursive: true });
    }
    await demoRun({ steps, folder });
  });

  it("ends with the same bits when its process is killed, time after time", async () => {
    const whole = await demoRun({ steps: 60 });
    let killed = 0;
    for (const wait of [5, 14, 23]) if (await killAfter(wait, 60)) killed++;
    expect(killed).toBe(3);
    const result: FitResult = await demoRun({ steps: 60, folder });
    expect(result.resumedFrom).toBeGreaterThan(0);
    expect(bits(result)).toEqual(bits(whole));
    const log = logOf(folder).map((line) => line.step);
    expect(log).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(readdirSync(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
  }, 120_000);

  it("does nothing when the run is finished already", async () => {
    const first = await demoRun({ steps, folder });
    const again = await demoRun({
      steps,
      folder,
      state: () => {
        throw new Error("the state was asked for");
      },
    });
    expect(again).toMatchObject({ step: steps, resumedFrom: steps, metrics: {} });
    expect(bits(again)).toEqual(bits(first));
  });

  it("keeps the last good checkpoint when the loss is no number", async () => {
    const train = demoStep();
    const broken = (at: number) => async (step: number) => {
      const { x, y } = demoBatch(step);
      if (step === at) y!.data.fill(Number.NaN);
      return { x: x!, y: y!, ...train.inputs(step) };
    };
    const error = await failure(demoRun({ steps, folder, batch: broken(10) }));
    expect(error.code).toBe("numeric");
    expect(error.message).toBe(
      `fit: y holds NaN at element 0 in step 10; ${folder}/last.safetensors holds the state after 9 steps`,
    );
    expect(error.details).toMatchObject({ step: 10, savedAt: 9 });
    const mended = await demoRun({ steps, folder });
    expect(mended.resumedFrom).toBe(9);
    expect(bits(mended)).toEqual(bits(await demoRun({ steps })));
  });

  it("never saves a state that is not finite, though the loss is", async () => {
    const train = demoStep();
    const overflowing = (state: tf.NamedTensorMap, batch: tf.NamedTensorMap) => {
      const result = train.step(state, batch);
      const first = tf.mul(result.state["params.first"]!, 1e38); // infinite in the second step
      return { ...result, state: { ...result.state, "params.first": first } };
    };
    const error = await failure(demoRun({ steps, folder, step: overflowing, checkpointEvery: 2 }));
    expect(error.code).toBe("numeric");
    expect(error.message).toMatch(
      /^fit: params.first must be finite, got -?Infinity after step 1; /,
    );
    expect(readdirSync(folder)).not.toContain("last.safetensors");
  });

  it("neither keeps as best nor returns a state that is not finite", async () => {
    const rootOfZero = createTrainStep({
      loss: (params) => ({ loss: tf.mean(tf.sqrt(tf.sum(tf.mul(params.w!, 0)))) }), // 0, its gradient NaN
      optimizer: sgd(),
      schedule: () => 1,
      stepsPerEpoch: 1,
    });
    const w = { dtype: "float32", shape: [2], data: Float32Array.of(1, 1) } as const;
    const run = (options: Partial<FitOptions>) =>
      failure(
        fit({
          executor: eagerExecutor(),
          step: rootOfZero.step,
          state: rootOfZero.initState({ w }),
          steps: 1,
          batch: (step) => rootOfZero.inputs(step),
          ...options,
        }),
      );
    const evaluate = {
      every: 1,
      run: async () => ({ accuracy: 0.5 }),
      best: { metric: "accuracy", mode: "max" },
    } as const;
    const message = "fit: params.w must be finite, got NaN after step 0";
    const kept = await run({ folder, evaluate });
    expect([kept.code, kept.message]).toEqual([
      "numeric",
      `${message}; ${folder} holds no checkpoint yet`,
    ]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".safetensors"))).toEqual([]);
    const returned = await run({});
    expect([returned.code, returned.message]).toEqual(["numeric", message]);
  });

  it("takes no NaN for the best metric", async () => {
    const best = async (scores: number[], mode: "max" | "min", stop?: number) => {
      const controller = new AbortController();
      await demoRun({
        steps,
        folder,
        signal: controller.signal,
        evaluate: {
          every: 10,
          run: async (_, step) => ({ score: scores[step / 10 - 1]! }),
          best: { metric: "score", mode },
        },
        onProgress: ({ step }) => step === stop && controller.abort(),
      }).catch((error: unknown) => expect(error).toBe(controller.signal.reason));
    };
    const kept = () => {
      const file = join(folder, "best.safetensors");
      return existsSync(file) ? decodeSafetensors(readFileSync(file)).metadata.score : undefined;
    };
    await best([Number.NaN, 0.5, Number.NaN, 0.25], "max", 15);
    expect(kept()).toBeUndefined();
    await best([Number.NaN, 0.5, Number.NaN, 0.25], "max");
    expect(kept()).toBe("0.5");
    rmSync(folder, { recursive: true });
    await best([Number.NaN, 0.5, Number.NaN, 0.25], "min");
    expect(kept()).toBe("0.25");
  });

  it("names an option outside its range before it begins", async () => {
    const evaluate = (change: object) => ({
      evaluate: { every: 1, run: async () => ({ a: 1 }), ...change },
    });
    const wrong: [object, string][] = [
      ...[0, Number.NaN, 2.5, -1, Number.POSITIVE_INFINITY].map((value): [object, string] => [
        { stepsPerEpoch: value },
        `stepsPerEpoch must be a positive integer, got ${value}`,
      ]),
      ...["checkpointEvery", "keepEvery", "logEvery"].flatMap((name) =>
        [0, Number.NaN, 2.5, -1].map((value): [object, string] => [
          { [name]: value },
          `${name} must be a positive integer, or Infinity for never in between, got ${value}`,
        ]),
      ),
      ...[-1, Number.NaN, 0.5, Number.POSITIVE_INFINITY].map((value): [object, string] => [
        { prefetch: value },
        `prefetch must be a whole number, 0 to prepare nothing ahead, got ${value}`,
      ]),
      [evaluate({ every: 0 }), "evaluate.every must be a positive integer"],
      [evaluate({ every: undefined }), "evaluate.every must be a positive integer"],
      [
        evaluate({ best: { metric: "a", mode: "maximum" } }),
        'evaluate.best.mode must be "max" or "min", got maximum',
      ],
    ];
    const state = () => {
      throw new Error("the state was asked for");
    };
    for (const [change, message] of wrong)
      await expect(demoRun({ steps, state, ...change })).rejects.toThrow(`fit: ${message}`);
  });

  it("saves and logs nothing in between where an interval is infinite", async () => {
    const seen: string[][] = [];
    await demoRun({
      steps,
      folder,
      checkpointEvery: Number.POSITIVE_INFINITY,
      logEvery: Number.POSITIVE_INFINITY,
      prefetch: 0,
      onProgress: () => seen.push(readdirSync(folder)),
    });
    expect(seen.flat()).not.toContain("last.safetensors");
    expect(readdirSync(folder)).toContain("last.safetensors");
    expect(logOf(folder)).toEqual([]);
  });

  it("refuses the folder of another run, and names what differs", async () => {
    await demoRun({ steps: 4, folder, recipe: { sigma: 0.25, model: { width: 16 } } });
    const error = await failure(
      demoRun({ steps: 4, folder, recipe: { sigma: 0.5, model: { width: 16, depth: 2 } } }),
    );
    expect(error.code).toBe("resume");
    expect(error.message).toContain("recipe.sigma: 0.25 there, 0.5 now");
    expect(error.message).toContain("recipe.model.depth: undefined there, 2 now");
    await expect(
      demoRun({ steps: 2, folder, recipe: { sigma: 0.25, model: { width: 16 } } }),
    ).rejects.toThrow("has done 4 steps, more than the 2 asked for");
    writeFileSync(join(folder, "run.json"), "{");
    expect((await failure(demoRun({ steps: 4, folder }))).code).toBe("file");
  });

  it("names a folder that is none, and a checkpoint that is damaged", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const none = await failure(demoRun({ steps: 4, folder: file }));
    expect(none.code).toBe("file");
    expect(none.message).toContain(`fit: cannot make the folder ${file}: EEXIST`);
    const run = join(folder, "run");
    await demoRun({ steps: 4, folder: run });
    const last = join(run, "last.safetensors");
    writeFileSync(last, readFileSync(last).subarray(0, 1000));
    const damaged = await failure(demoRun({ steps, folder: run }));
    expect(damaged.code).toBe("file");
    expect(damaged.message).toContain(`fit: ${last} must be a whole checkpoint: `);
  });

  it("makes a kept checkpoint again where it was killed beside the last one", async () => {
    const kept = (name: string) => readFileSync(join(folder, name, "step-10.safetensors"));
    const run = (name: string, executor = eagerExecutor()) =>
      demoRun({
        steps: 20,
        folder: join(folder, name),
        keepEvery: 10,
        checkpointEvery: 10,
        executor,
      });
    await run("whole");
    for (const fatal of [1, 2]) {
      await expect(run(`killed${fatal}`, diesAtState(fatal))).rejects.toThrow("killed");
      await run(`killed${fatal}`);
      expect(kept(`killed${fatal}`).equals(kept("whole"))).toBe(true);
    }
  });

  it("lets one process at a time write to a folder", async () => {
    let second: Promise<unknown> | undefined;
    await demoRun({
      steps: 4,
      folder,
      onProgress: () => {
        second ??= failure(demoRun({ steps: 4, folder }), "resume");
      },
    });
    expect(String(await second)).toContain(`${folder} is being written by process ${process.pid}`);
    expect(logOf(folder).map((line) => line.step)).toEqual([1, 2, 3, 4]);
    expect(readdirSync(folder)).not.toContain("run.lock");
  });

  it.each([
    ["run.json", "fit: cannot read"],
    ["log.jsonl", "fit: cannot write"],
    ["last.safetensors", "last.safetensors must be a file, got a folder"],
    ["step-20.safetensors", "step-20.safetensors must be a file, got a folder"],
  ])("says before it computes that %s is a folder", async (name, message) => {
    mkdirSync(join(folder, name));
    const state = () => {
      throw new Error("the state was asked for");
    };
    const error = await failure(demoRun({ steps: 4, folder, state }), "file");
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("\n");
  });

  it("evaluates, and keeps the best and every few checkpoints", async () => {
    const scores = new Map([
      [10, 0.5],
      [20, 0.7],
      [30, 0.6],
      [40, 0.7],
    ]);
    const heard: number[] = [];
    await demoRun({
      steps,
      folder,
      keepEvery: 15,
      evaluate: {
        every: 10,
        run: async (_, step) => ({ accuracy: scores.get(step)! }),
        best: { metric: "accuracy", mode: "max" },
      },
      onEvaluation: (metrics, step) => heard.push(step, metrics.accuracy!),
    });
    expect(heard).toEqual([...scores].flat());
    expect(readdirSync(folder).sort()).toEqual(
      ["best", "last", "step-15", "step-30"]
        .map((name) => `${name}.safetensors`)
        .concat("log.jsonl", "run.json")
        .sort(),
    );
    rmSync(join(folder, "last.safetensors"));
    writeFileSync(join(folder, "last.safetensors"), readFileSync(join(folder, "best.safetensors")));
    const run = await openRunFolder(folder, { demo: 1 });
    expect((await run.load())!.step).toBe(20);
    await run.close();
    const evaluations = logOf(folder, "evaluation");
    expect(evaluations).toEqual(
      [...scores].map(([step, accuracy]) => ({ kind: "evaluation", step, accuracy })),
    );
  });

  it("prepares the next batch while a step runs", async () => {
    const events: string[] = [];
    const eager = eagerExecutor();
    const slow: Executor = {
      ...eager,
      async prepareStep(step, init) {
        const prepared = await eager.prepareStep(step, init);
        let at = 0;
        const run: typeof prepared = Object.assign(async (batch: never) => {
          events.push(`run ${at}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
          events.push(`end ${at++}`);
          return prepared(batch);
        }, prepared);
        return run;
      },
    };
    const train = demoStep();
    await demoRun({
      steps: 3,
      executor: slow,
      batch: async (step) => {
        events.push(`batch ${step}`);
        return { ...demoBatch(step), ...train.inputs(step) };
      },
    });
    expect(events).toEqual([
      "batch 0",
      "run 0",
      "batch 1",
      "end 0",
      "run 1",
      "batch 2",
      "end 1",
      "run 2",
      "end 2",
    ]);
  });

  it("tells a failure of a batch at the step it belongs to", async () => {
    const train = demoStep();
    const asked: number[] = [];
    const done: number[] = [];
    const run = demoRun({
      steps,
      batch: async (step) => {
        asked.push(step);
        if (step === 5) throw new Error("no such image");
        return { ...demoBatch(step), ...train.inputs(step) };
      },
      onProgress: ({ step }) => done.push(step),
    });
    await expect(run).rejects.toThrow("no such image");
    expect(asked).toEqual([0, 1, 2, 3, 4, 5]);
    expect(done).toEqual([1, 2, 3, 4, 5]);
  });

  it("starts from the state given, and runs zero steps", async () => {
    const train = demoStep();
    const state = train.initState(demoParams());
    const { state: after } = await demoRun({ steps: 0, state });
    expect(bits({ state: after })).toEqual(bits({ state }));
    await expect(demoRun({ steps: -1 })).rejects.toThrow(
      "fit: steps must be a whole number, got -1",
    );
  });
});

describe("stepsBetween", () => {
  it("rounds epochs to steps, one at least", () => {
    const steps = [0.05, 0.5, 1, 2.5, Number.POSITIVE_INFINITY].map((epochs) =>
      stepsBetween("pretrain: keepEveryEpochs", epochs, 6),
    );
    expect(steps).toEqual([1, 3, 6, 15, Number.POSITIVE_INFINITY]);
    for (const epochs of [0, -1, Number.NaN, "1" as never])
      expect(() => stepsBetween("pretrain: keepEveryEpochs", epochs, 6)).toThrow(
        `pretrain: keepEveryEpochs must be a positive number of epochs, got ${epochs}; leave it out`,
      );
  });
});

describe("differences", () => {
  it("names each leaf", () => {
    expect(differences({ a: 1, b: [1, 2] }, { a: 1, b: [1, 3] })).toEqual([
      { path: "b", before: "[1,2]", after: "[1,3]" },
    ]);
    expect(differences({ a: null }, { a: null })).toEqual([]);
  });
});

/** The eager executor, which fails where its state is asked for the `fatal`-th time. */
function diesAtState(fatal: number): Executor {
  const eager = eagerExecutor();
  let asked = 0;
  return {
    ...eager,
    async prepareStep(...args) {
      const prepared = await eager.prepareStep(...args);
      const { state } = prepared;
      return Object.assign(prepared, {
        async state() {
          if (++asked === fatal) throw new Error("killed");
          return state();
        },
      });
    },
  };
}

/** Starts the demo in a process of its own and kills it without warning after `count` of its steps. */
function killAfter(count: number, all: number): Promise<boolean> {
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const script = fileURLToPath(new URL("./__fixtures__/killed-run.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, String(all)], {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(root, "tsconfig.json") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let seen = 0;
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  child.stdout.on("data", (text: Buffer) => {
    seen += text.toString().split("step ").length - 1;
    if (seen >= count) child.kill("SIGKILL");
  });
  return new Promise((resolve, reject) =>
    child.on("exit", (code, signal) =>
      signal === "SIGKILL" ? resolve(true) : reject(new Error(`exit ${code}: ${errors}`)),
    ),
  );
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeSafetensors } from "@dmae/checkpoint";
import type { HostTensors } from "@dmae/core";
import { describe, expect, it } from "vitest";
import { expectClose } from "../expect-close.ts";
import { hasMpi, type Job, runRanks, startRanks } from "../mpi.ts";
import { temporaryFolders } from "../temporary-folder.ts";

const scratch = temporaryFolders("dmae-mpi");
const program = new URL("./train.ts", import.meta.url);
const stages = ["pretrain", "rs", "cr", "probe"] as const;
const executors = ["eager", "compiled"] as const;
/** Trains each stage, and returns the parameters by stage. */
async function train(size: number, settings: object): Promise<Record<string, HostTensors>> {
  const out = scratch();
  const { code, stderr } = await runRanks(size, program, [
    JSON.stringify({ stages, ...settings, out }),
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return Object.fromEntries(
    stages.map((stage) => [stage, load(join(out, `${stage}.safetensors`))]),
  );
}

const load = (file: string): HostTensors => decodeSafetensors(readFileSync(file)).tensors;

/** Where two runs may differ: softmax does not see the bias of keys, whose gradient is rounding alone. */
function expectParams(actual: HostTensors, expected: HostTensors, absolute: number) {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, { data }] of Object.entries(expected)) {
    const third = data.length / 3;
    const drop = (values: ArrayLike<number>) =>
      Array.from(values).filter((_, i) => i < third || i >= 2 * third);
    const isBias = name.endsWith("qkv.bias");
    const [a, e] = [actual[name]!.data, data];
    expectClose(isBias ? drop(a) : a, isBias ? drop(e) : e, { absolute });
  }
}

describe.runIf(hasMpi)("training on ranks", () => {
  it.each(executors)("gives the parameters of one process, %s", async (executor) => {
    const settings = { executor, epochs: 5 }; // fifty micro-batches
    const alone = await train(1, settings);
    for (const size of [2, 3, 4]) {
      const together = await train(size, settings);
      for (const stage of stages) expectParams(together[stage]!, alone[stage]!, 1e-5);
      if (size === 3) expect(await train(size, settings)).toEqual(together); // to the bit
    }
  });

  it.each(executors.flatMap((executor) => stages.map((stage) => [executor, stage] as const)))(
    "goes on after kill -9 with 2, 3 and 1 ranks, %s %s",
    async (executor, stage) => {
      const settings = {
        stages: [stage],
        executor,
        epochs: 2,
        accumulate: 2,
        checkpointEveryEpochs: 0.3,
      };
      const out = scratch();
      const run = async (more: object) => {
        const { code } = await runRanks(1, program, [
          JSON.stringify({ ...settings, out, ...more }),
        ]);
        expect(code).toBe(0);
        return load(join(out, `${stage}.safetensors`));
      };
      const alone = await run({});
      const folder = join(scratch(), "run");
      for (const [size, victim, step] of [
        [2, 1, 8],
        [3, 0, 14],
      ] as const) {
        const job = await killed(size, victim, step, { ...settings, folder });
        expect(job.code).not.toBe(0);
        expect(job.stderr).toContain(`rank ${victim}`); // the launcher names it
      }
      expectParams(await run({ folder }), alone, 1e-5);
    },
  );

  it.each([
    ["throw", "rank 1 of 3: a fault in step 4"],
    ["nan", /rank 1 of 3: batches: image \d+ of .* must lie in \[0, 1\], got NaN at element 0/],
    [
      "recipe",
      "rank 0 of 3: fit: every rank must run the same training, but these differ: recipe.recipe.baseLearningRate: 0.05 on rank 0, 0.06 on rank 1",
    ],
  ])("a rank with the fault %s ends the job within seconds, named once", async (kind, message) => {
    const fault = { kind, rank: 1, step: 4 };
    const settings = { stages: ["rs"], executor: "eager", epochs: 100, fault };
    let faultAt = 0;
    const started = performance.now();
    const job = startRanks(3, program, [JSON.stringify(settings)], () => {
      faultAt = performance.now() - started;
    });
    const { code, stderr, seconds } = await job.ended;
    expect(code).not.toBe(0);
    expect(stderr.match(/rank \d of 3: .*/g)).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(seconds - faultAt / 1000).toBeLessThan(30); // of a job that would take minutes
  });

  it("a signal on one rank stops all of them with a checkpoint", async () => {
    const folder = join(scratch(), "run");
    const fault = { kind: "stop", rank: 2, step: 4 };
    const settings = { stages: ["rs"], executor: "eager", epochs: 2, folder };
    const stopped = await runRanks(3, program, [JSON.stringify({ ...settings, fault })]);
    expect(stopped.code).toBe(0);
    expect(stopped.stderr.match(/rank \d ended: .*/g)!.sort()).toEqual([
      "rank 0 ended: fit: another rank was stopped",
      "rank 1 ended: fit: another rank was stopped",
      "rank 2 ended: asked to stop",
    ]);
    const { metadata } = decodeSafetensors(readFileSync(join(folder, "last.safetensors")));
    expect(metadata.step).toBe("5");
  });
});

/** Ends one rank by kill -9 once rank 0 has made `step` steps. */
async function killed(size: number, victim: number, step: number, settings: object): Promise<Job> {
  const pids = join(scratch(), "pids");
  let isDone = false;
  const job = startRanks(size, program, [JSON.stringify({ ...settings, pids })], (text) => {
    if (isDone || !text.includes(`"step":${step},`)) return;
    isDone = true;
    process.kill(Number(readFileSync(`${pids}.${victim}`, "utf8")), "SIGKILL");
  });
  return job.ended;
}

// Compares the steps of `runRecorded` with what the official code recorded.
import type { HostTensor } from "@dmae/core";
import type { Executor } from "@dmae/nn";
import { expect } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import {
  type RecordedCase,
  type RecordedTensors,
  runRecorded,
  type StepResult,
} from "./reference-run.ts";

/** Every how many values of a flat LeNet tensor were recorded. */
const strides: Record<string, number> = {
  "1.fc1.weight": 97,
  "1.conv2.weight": 11,
  "1.fc2.weight": 11,
};

const sampled = (data: ArrayLike<number>, stride: number): number[] => {
  const all = Array.from(data);
  return stride === 1 ? all : all.filter((_, i) => i % stride === 0);
};

/** `[m * b, H, W, C]` to `[m * b, C, H, W]`. */
function channelsFirst({ shape, data }: HostTensor): number[] {
  const [rows, height, width, channels] = shape as [number, number, number, number];
  const plane = height * width;
  const out = new Array<number>(data.length);
  for (let i = 0; i < rows; i++)
    for (let p = 0; p < plane; p++)
      for (let c = 0; c < channels; c++)
        out[(i * channels + c) * plane + p] = data[(i * plane + p) * channels + c]!;
  return out;
}

/**
 * Holds losses, gradients, parameters, running statistics and attacked images of every step against the recorded ones: the
 * float64 results where they were kept, with a tolerance of 8 times the difference between the official float32 and float64
 * runs, and at least 3e-6 (gradients 1e-5) of the largest value.
 *
 * @returns how many tensors were compared
 */
function expectRecorded(
  run: RecordedCase,
  steps: readonly StepResult[],
  single: RecordedTensors,
  double: RecordedTensors | null,
): number {
  let compared = 0;
  for (const [name, [size, difference]] of Object.entries(run.tolerance)) {
    const match = /^step(\d+)\.(loss|grad|after|buffer)(?:\.(.+))?$/.exec(name);
    const step = match && steps[Number(match[1])];
    if (!match || !step) continue;
    const [, , kind, parameter] = match;
    const own = step[parameter ? `${kind}.${parameter}` : kind!];
    const reference = referenceOf(name, run, single, double);
    if (!own || !reference) continue;
    const floor = kind === "grad" ? 1e-5 : 3e-6;
    const absolute = Math.max(8 * difference, floor * size) + (reference.isDouble ? 0 : difference);
    try {
      expectClose(sampled(own.data, strides[parameter ?? ""] ?? 1), reference.values, { absolute });
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`);
    }
    compared++;
  }
  compared += expectNorms(run, steps);
  expectLog(run, steps);
  return compared + expectAttacks(run, steps, single, double);
}

function referenceOf(
  name: string,
  run: RecordedCase,
  single: RecordedTensors,
  double: RecordedTensors | null,
): { values: ArrayLike<number>; isDouble: boolean } | null {
  if (double?.names.includes(name)) return { values: double.get(name).data, isDouble: true };
  const scalar = run.scalars64[name];
  if (scalar !== undefined) return { values: [scalar], isDouble: true };
  if (single.names.includes(name)) return { values: single.get(name).data, isDouble: false };
  return null;
}

/** Loss and accuracy of the official log, where the whole epoch was run. */
function expectLog(run: RecordedCase, steps: readonly StepResult[]): void {
  const mean = (metric: string) => {
    const counts = steps.map((step) => Number(step.images!.data[0]));
    const values = steps.map((step) => Number(step[`metric.${metric}`]!.data[0]));
    const total = counts.reduce((a, b) => a + b, 0);
    return values.reduce((sum, value, i) => sum + value * counts[i]!, 0) / total;
  };
  // Not against the float32 log: its own error reaches 1.9e-6 (MACER, whose gradient is steep near p = 1), as large as what is allowed.
  const loss = run.scalars64["writer.loss/train"] ?? run.scalars32["writer.loss/train"];
  const accuracy = run.scalars32["writer.accuracy/train@1"];
  if (loss !== undefined) expectClose([mean("trainLoss")], [loss], { relative: 2e-6 });
  if (accuracy) expectClose([100 * mean("accuracy")], [accuracy], { absolute: 1e-4 });
}

/** l2 norms of every gradient and parameter in every step. */
function expectNorms(run: RecordedCase, steps: readonly StepResult[]): number {
  let compared = 0;
  for (const [name, expected] of Object.entries(run.scalars64)) {
    const match = /^step(\d+)\.(grad|after)norm\.(.+)$/.exec(name);
    const own = match && steps[Number(match[1])]?.[`${match[2]}.${match[3]}`];
    if (!own) continue;
    const norm = Math.sqrt(sampled(own.data, 1).reduce((sum, value) => sum + value * value, 0));
    const recorded = Math.abs(run.scalars32[name]! - expected);
    const absolute = Math.max(8 * recorded, (match![2] === "grad" ? 1e-5 : 3e-6) * expected);
    expectClose([norm], [expected], { absolute });
    compared++;
  }
  return compared;
}

/** Recorded tensors of the attacks, and what a step calls its own. */
const attacks: Record<string, string> = {
  "attack.adv_final": "attacked.images",
  "attack.init": "attacked.images",
  in_mix: "attacked.mix",
  "attack.noise_final": "attacked.noise",
};

/** What the attacks made: adversarial images (of the first copy), mixed images, adversarial noise. */
function expectAttacks(
  run: RecordedCase,
  steps: readonly StepResult[],
  single: RecordedTensors,
  double: RecordedTensors | null,
): number {
  let compared = 0;
  steps.forEach((step, s) => {
    for (const [field, own] of Object.entries(attacks)) {
      const name = `step${s}.${field}`;
      const reference = referenceOf(name, run, single, double);
      const isOtherEnd = run.method === "smoothmix" && field === "attack.adv_final";
      if (!reference || !step[own] || isOtherEnd) continue;
      const values = channelsFirst(step[own]);
      const copies = run.method === "smoothadv" ? run.args.num_noise_vec! : 1; // adjacent ones
      const size = values.length / step[own].shape[0]!;
      const expected = Array.from(values, (_, i) => {
        const row = Math.floor(i / size);
        return reference.values[row * copies * size + (i % size)]!;
      });
      const [largest, difference] = run.tolerance[name] ?? [1, 0];
      expectClose(values, expected, { absolute: Math.max(8 * difference, 3e-6 * largest) + 2e-7 });
      compared++;
    }
  });
  return compared;
}

/** What was recorded of a run: in float32, in float64 where that was kept, and the initial state where it lies elsewhere. */
interface Recorded {
  readonly single: RecordedTensors;
  readonly double: RecordedTensors | null;
  readonly initial?: RecordedTensors;
}

/** Repeats a recorded run and holds every step of it against the recording. */
export async function expectRecordedRun(
  executor: Executor,
  run: RecordedCase,
  { single, double, initial = single }: Recorded,
): Promise<void> {
  const steps = await runRecorded(executor, run, single, initial);
  expect(steps.length).toBe(run.n_steps);
  expect(expectRecorded(run, steps, single, double)).toBeGreaterThan(10);
}

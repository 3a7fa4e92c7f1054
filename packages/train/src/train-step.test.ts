import "@tensorflow/tfjs-backend-cpu";
import type { HostTensors } from "@dmae/core";
import { eagerExecutor, type Tensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectNoLeak } from "../../../testing/tensors.ts";
import { adamw } from "./adamw.ts";
import { specsOf } from "./fit.ts";
import type { Optimizer } from "./optimizer.ts";
import { cosineSchedule } from "./schedule.ts";
import { sgd } from "./sgd.ts";
import { createTrainStep, type TrainStepOptions } from "./train-step.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const host = (values: number[], shape = [values.length]): HostTensors[string] => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(values),
});

/** Linear regression: rows x [B, 2], y [B]; loss = mean (x w - y)^2. */
const loss = (params: Tensors, batch: Tensors) => {
  const predicted = tf.squeeze(tf.matMul(batch.x as tf.Tensor2D, params.w as tf.Tensor2D), [1]);
  return { loss: tf.mean(tf.squaredDifference(tf.add(predicted, params.b!), batch.y!)) };
};

const rows = Array.from({ length: 16 }, (_, i) => {
  const x = [Math.sin(i), Math.cos(3 * i)];
  return { x, y: 2 * x[0]! - x[1]! + 0.5 };
});

const batchOf = (from: number, to: number): HostTensors => ({
  x: host(
    rows.slice(from, to).flatMap((row) => row.x),
    [to - from, 2],
  ),
  y: host(rows.slice(from, to).map((row) => row.y)),
});

const params: HostTensors = { w: host([0.1, -0.2], [2, 1]), b: host([0]), frozen: host([3]) };

async function train(
  options: Partial<TrainStepOptions> & { optimizer: Optimizer },
  batches: HostTensors[],
) {
  const made = createTrainStep({
    loss,
    trainable: ["w", "b"],
    schedule: () => 0.1,
    stepsPerEpoch: batches.length,
    ...options,
  });
  const inputs = batches.map((batch, i) => ({ ...batch, ...made.inputs(i) }));
  const prepared = await eagerExecutor().prepareStep(made.step, {
    state: made.initState(params),
    batch: specsOf(inputs[0]!),
  });
  const metrics: Record<string, number>[] = [];
  const states: HostTensors[] = [];
  for (const input of inputs) {
    metrics.push(await prepared(input));
    states.push(await prepared.state());
  }
  prepared.dispose();
  return { metrics, states, state: states.at(-1)! };
}

describe("createTrainStep", () => {
  it("makes the step that plain arithmetic makes", async () => {
    const { state, metrics } = await train({ optimizer: sgd() }, [batchOf(0, 4)]);
    let value = 0;
    const gradient = [0, 0, 0];
    for (const { x, y } of rows.slice(0, 4)) {
      const error = 0.1 * x[0]! - 0.2 * x[1]! - y;
      value += error ** 2 / 4;
      [x[0]!, x[1]!, 1].forEach((factor, i) => {
        gradient[i]! += (2 * error * factor) / 4;
      });
    }
    expectClose([metrics[0]!.loss!], [value], { relative: 1e-6 });
    expectClose(state["params.w"]!.data, [0.1 - 0.1 * gradient[0]!, -0.2 - 0.1 * gradient[1]!], {
      absolute: 1e-6,
    });
    expectClose(state["params.b"]!.data, [-0.1 * gradient[2]!], { absolute: 1e-6 });
    expectClose(state["params.frozen"]!.data, [3]);
  });

  it.each([
    ["adamw", () => adamw({ weightDecay: 0.1 })],
    ["sgd", () => sgd({ momentum: 0.9, weightDecay: 0.1 })],
  ])("accumulates micro-batches to the step of the whole batch: %s", async (_, optimizer) => {
    const whole = await train({ optimizer: optimizer(), clipNorm: 1 }, [
      batchOf(0, 8),
      batchOf(8, 16),
    ]);
    const parts = await train({ optimizer: optimizer(), accumulate: 2, clipNorm: 1 }, [
      batchOf(0, 4),
      batchOf(4, 8),
      batchOf(8, 12),
      batchOf(12, 16),
    ]);
    for (const name of Object.keys(whole.state))
      expectClose(parts.state[name]!.data, whole.state[name]!.data, { absolute: 1e-6 });
    expectClose([parts.metrics[3]!.gradientNorm!], [whole.metrics[1]!.gradientNorm!], {
      relative: 1e-5,
    });
    for (const name of Object.keys(params)) {
      const key = `params.${name}`; // micro-batches that only accumulate leave every bit alone
      expectClose(parts.states[0]![key]!.data, params[name]!.data);
      expectClose(parts.states[2]![key]!.data, parts.states[1]![key]!.data);
    }
  });

  it("drops what an epoch leaves over, as the official loop does", async () => {
    const schedule = cosineSchedule({ learningRate: 0.1, epochs: 2 });
    const { states } = await train(
      { optimizer: sgd(), accumulate: 2, stepsPerEpoch: 3, schedule },
      [0, 4, 8, 0, 4, 8].map((from) => batchOf(from, from + 4)),
    );
    const moved = states.map((state, i) => {
      const before = i === 0 ? params.w!.data : states[i - 1]!["params.w"]!.data;
      return before.some((value, j) => value !== state["params.w"]!.data[j]);
    });
    expect(moved).toEqual([false, true, false, false, true, false]);
  });

  it("keeps a moving average and leaves no tensor behind", async () => {
    await expectNoLeak(async () => {
      const { states } = await train({ optimizer: sgd(), emaDecay: 0.75 }, [
        batchOf(0, 4),
        batchOf(4, 8),
      ]);
      const first = 0.75 * 0.1 + 0.25 * states[0]!["params.w"]!.data[0]!;
      const second = 0.75 * first + 0.25 * states[1]!["params.w"]!.data[0]!;
      expectClose([states[1]!["ema.w"]!.data[0]!], [second], { absolute: 1e-6 });
    });
  });

  it("averages buffers with the weights, after the micro-batch that updates", async () => {
    const counting = (params: Tensors, batch: Tensors) => ({
      ...loss(params, batch),
      updates: { frozen: tf.add(params.frozen!, 1) },
    });
    const options = { loss: counting, optimizer: sgd(), accumulate: 2, emaDecay: 0.75 };
    const batches = [0, 4, 8, 12].map((from) => batchOf(from, from + 4));
    const { states } = await train({ ...options, buffers: ["frozen"] }, batches);
    const values = (name: string) => states.map((state) => state[name]!.data[0]);
    expect(values("params.frozen")).toEqual([4, 5, 6, 7]);
    const [first, second] = [0.75 * 3 + 0.25 * 5, 0.75 * (0.75 * 3 + 0.25 * 5) + 0.25 * 7];
    expect(values("ema.frozen")).toEqual([3, first, first, second]);
    await expect(train(options, batches)).rejects.toThrow(
      "createTrainStep: with emaDecay, buffers must name what the loss updates, got none of frozen",
    );
  });

  it("names what is wrong", () => {
    const options = { loss, optimizer: sgd(), schedule: () => 0, stepsPerEpoch: 3 };
    expect(() => createTrainStep({ ...options, accumulate: 4 })).toThrow(
      "createTrainStep: accumulate must not exceed the 3 steps of an epoch, got 4",
    );
    expect(() => createTrainStep({ ...options, trainable: ["head"] }).initState(params)).toThrow(
      "createTrainStep: trainable must name parameters, got head",
    );
    expect(() => createTrainStep({ ...options, buffers: ["mean"] }).initState(params)).toThrow(
      "createTrainStep: buffers must name parameters, got mean",
    );
    expect(() => createTrainStep({ ...options, updateOffset: Number.NaN })).toThrow(
      "createTrainStep: updateOffset must be an integer, got NaN",
    );
    const early = createTrainStep({ ...options, updateOffset: -2 });
    expect(() => early.inputs(1)).toThrow("got -2 for update 1"); // a bias correction of 0 or less
    expect(() => early.inputs(2)).not.toThrow();
  });
});

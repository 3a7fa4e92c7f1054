// What int8 products would gain in a training step: the float32 step's graph against rewrites of it, in turns. An
// experiment that was left out of the packages, see docs/decisions/int8-training.md. CPU time beside the time on
// the clock, since other work on the machine disturbs it less; DMAE_BENCH="tiny,base" chooses models,
// DMAE_BENCH_ROUNDS the turns, DMAE_BENCH_THREADS the threads (1).
import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import type { HostTensors } from "@dmae/core";
import type { Tensors } from "@dmae/nn";
import { createViT } from "@dmae/vit";
import { optimize, type Program } from "../packages/compile/src/graph/optimize.ts";
import { encodeModel } from "../packages/compile/src/onnx/onnx-model.ts";
import { createSession } from "../packages/compile/src/runtime/runtime.ts";
import { type Trace, trace } from "../packages/compile/src/tracing/trace.ts";
import { classifierStep } from "./_classifier-step.ts";
import {
  int8Products,
  int8Program,
  MAGNITUDES,
  type Scaling,
  withMagnitudes,
} from "./_int8-training-graph.ts";

const rounds = Number(process.env.DMAE_BENCH_ROUNDS ?? 7);
const threads = Number(process.env.DMAE_BENCH_THREADS ?? 1);

interface Model {
  title: string;
  batch: number;
  config: {
    imageSize: number;
    patchSize: number;
    channels: number;
    width: number;
    depth: number;
    heads: number;
  };
}

const models: Record<string, Model> = {
  tiny: {
    title: "tiny",
    batch: 64,
    config: { imageSize: 28, patchSize: 4, channels: 1, width: 192, depth: 6, heads: 3 },
  },
  // All blocks are alike: two of the twelve show what a block gains in a sixth of the time.
  base: {
    title: "ViT-B/16 with 2 blocks",
    batch: 8,
    config: { imageSize: 224, patchSize: 16, channels: 3, width: 768, depth: 2, heads: 12 },
  },
};

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

const keyed = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]));

const under = (prefix: string, record: Tensors): Tensors =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );

/** The training step of benchmarks/compile.ts as a graph, and values for its inputs. */
function tracedStep({ batch, config }: Model): { traced: Trace; values: HostTensors } {
  const { channels } = config;
  const normalization = {
    mean: Array<number>(channels).fill(0.5),
    std: Array<number>(channels).fill(0.25),
  };
  const vit = createViT({ ...config, ...normalization, numClasses: 10 });
  const { train, state, batch: images } = classifierStep(vit, batch);
  const values = {
    ...keyed("state:", state),
    ...keyed("batch:", { ...images, ...train.inputs(0) }),
  };
  const step = (all: Tensors) => {
    const { state, metrics } = train.step(under("state:", all), under("batch:", all));
    return { ...keyed("next:", state), ...keyed("metric:", metrics) };
  };
  return { traced: trace("bench", step, values), values };
}

/** A session that computes all outputs and hands over those in `wanted`: copies of the state would blur the ratio. */
async function prepare(
  program: Program,
  outputNames: readonly string[],
  values: HostTensors,
  wanted: string,
) {
  const { bytes, nodes } = encodeModel({ ...program, outputNames });
  const { runtime, session } = await createSession("bench", bytes, { threads });
  const feeds = Object.fromEntries(
    Object.entries(values).map(([name, { dtype, data, shape }]) => [
      name,
      new runtime.Tensor(dtype, data, shape),
    ]),
  );
  const run = async () => (await session.run(feeds, { [wanted]: null }))[wanted]!;
  return { nodes, run, release: () => session.release() };
}

/** The largest magnitudes of what is quantized, at the start. */
async function magnitudesOf(traced: Trace, values: HostTensors): Promise<Float32Array> {
  const program = optimize(traced);
  const observed = withMagnitudes(program, int8Products(program));
  const names = [...traced.outputNames, "magnitudes"];
  const { run, release } = await prepare(observed, names, values, "magnitudes");
  const magnitudes = ((await run()).data as Float32Array).slice();
  await release();
  return magnitudes;
}

async function compare(model: Model): Promise<void> {
  const { traced, values } = tracedStep(model);
  const program = optimize(traced);
  const products = int8Products(program);
  const magnitudes = await magnitudesOf(traced, values);
  const variants: [string, Scaling | null][] = [
    ["float32", null],
    ["int8, constant scales (no reduction: the most it can gain)", { kind: "fixed", magnitudes }],
    ["int8, scales from earlier steps", { kind: "delayed", decay: 0.9, headroom: 1.1 }],
    ["int8, scales of the tensors themselves", { kind: "current" }],
  ];
  const state = { dtype: "float32" as const, shape: [products.length], data: magnitudes };
  const contestants = [];
  for (const [title, scaling] of variants) {
    const delayed = scaling?.kind === "delayed";
    const names = delayed ? [...traced.outputNames, MAGNITUDES.output] : traced.outputNames;
    const inputs = delayed ? { ...values, [MAGNITUDES.input]: state } : values;
    const variant = scaling ? int8Program(program, products, scaling) : program;
    const prepared = await prepare(variant, names, inputs, "metric:loss");
    contestants.push({ title, clock: [] as number[], cpu: [] as number[], loss: 0, ...prepared });
  }
  for (let round = -1; round < rounds; round++)
    for (const contestant of contestants) {
      const started = performance.now();
      const before = process.cpuUsage();
      contestant.loss = ((await contestant.run()).data as Float32Array)[0]!;
      const { user, system } = process.cpuUsage(before);
      if (round < 0) continue; // warm-up
      contestant.clock.push(performance.now() - started);
      contestant.cpu.push((user + system) / 1000);
    }
  const [float] = contestants as [(typeof contestants)[number]];
  for (const { title, clock, cpu, loss, nodes, release } of contestants) {
    const ratio = (of: "clock" | "cpu", times: number[]) =>
      median(times.map((t, i) => float[of][i]! / t)).toFixed(2);
    const cells = [
      `${model.title}, batch ${model.batch}`,
      title,
      median(cpu).toFixed(0),
      ratio("cpu", cpu),
      ratio("clock", clock),
      loss.toFixed(5),
      nodes,
    ];
    console.log(`| ${cells.join(" | ")} |`);
    await release();
  }
}

/** Prints the table. */
export async function int8stepsBenchmark(): Promise<void> {
  const chosen = process.env.DMAE_BENCH?.split(",") ?? Object.keys(models);
  console.log(
    `One training step, ${threads} threads, medians of ${rounds} turns; ratios to float32 in the same turn\n`,
  );
  console.log("| model | products | CPU ms | ratio of CPU time | of the clock | loss | nodes |");
  console.log("|---|---|---|---|---|---|---|");
  for (const name of chosen) if (models[name]) await compare(models[name]);
}

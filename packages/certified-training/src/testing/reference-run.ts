// Runs a method on the recorded batches and draws of the official code, step by step with its SGD.
import type { HostTensor, HostTensors } from "@dmae/core";
import {
  type ApplyFunction,
  type Executor,
  type PreparedFunction,
  softmaxCrossEntropy,
  type TensorSpecs,
  type Tensors,
  valueAndGradients,
} from "@dmae/nn";
import { sgd } from "@dmae/train";
import * as tf from "@tensorflow/tfjs-core";
import type { FixtureTensor } from "../../../../testing/fixtures.ts";
import {
  catRs,
  consistency,
  gaussian,
  macer,
  smoothAdv,
  smoothMix,
  stability,
  type TrainingMethod,
} from "../index.ts";

/** Methods of which runs are recorded. */
export const recordedMethods = [
  ...["gaussian", "stability", "smoothadv", "macer"],
  ...["consistency", "smoothmix", "catrs"],
];

import { referenceModels } from "./reference-models.ts";

/** The JSON of a recorded case. */
export interface RecordedCase {
  readonly method: string;
  readonly name: string;
  readonly model: string;
  readonly epoch: number;
  readonly nclasses: number;
  readonly args: Readonly<Record<string, number & string & boolean & null>>;
  readonly draws: readonly { name: string; kind: string; step: number; shape: number[] }[];
  readonly n_steps: number;
  readonly log_line: readonly string[];
  readonly tolerance: Readonly<Record<string, readonly [size: number, difference: number]>>;
  readonly scalars32: Readonly<Record<string, number>>;
  readonly scalars64: Readonly<Record<string, number>>;
}

/** Tensors of a recorded case by name. */
export interface RecordedTensors {
  readonly names: readonly string[];
  get(name: string): FixtureTensor;
}

/** The method that the recorded arguments describe. */
export function recordedObjective({ method, args: a }: RecordedCase): TrainingMethod {
  const common = { copies: a.num_noise_vec!, steps: a.num_steps!, warmupEpochs: a.warmup! };
  switch (method) {
    case "gaussian":
      return gaussian();
    case "stability":
      return stability({ lambda: a.lbd! });
    case "smoothadv": {
      const name = a.attack === "DDN" ? "ddn" : "pgd";
      const attack = a.no_grad_attack ? "gradient-free" : name;
      return smoothAdv({ ...common, epsilon: a.epsilon!, attack, gamma: a.gamma_DDN! });
    }
    case "macer":
      return macer({
        copies: common.copies,
        lambda: a.lbd!,
        beta: a.beta!,
        margin: a.margin!,
        deferredUntilEpoch: a.deferred ? a.lr_step_size! : null,
      });
    case "consistency": {
      const { steps, warmupEpochs } = common;
      const attack = a.adv_training ? { epsilon: a.epsilon!, steps, warmupEpochs } : null;
      return consistency({ copies: common.copies, lambda: a.lbd!, mu: a.eta!, attack });
    }
    case "smoothmix":
      return smoothMix({
        ...common,
        alpha: a.alpha!,
        mixStep: a.mix_step!,
        eta: a.eta!,
        maxNorm: a.maxnorm!,
        ...(a.maxnorm_s === null ? {} : { cleanNorm: a.maxnorm_s! }),
      });
    default:
      return catRs({
        copies: common.copies,
        steps: common.steps,
        epsilon: a.epsilon!,
        lambda: a.lbd!,
        confidence: a.confidence_mask ? "soft labels" : "votes",
        doubleRadiusFromEpoch: common.warmupEpochs === 10000 ? null : common.warmupEpochs,
      });
  }
}

/** The learning rate of the recorded epoch: the third column of its line in the log. */
const learningRate = ({ log_line: [line] }: RecordedCase): number => Number(line!.split("\t")[2]);

const float32 = (shape: readonly number[], data: Float32Array): HostTensor => ({
  dtype: "float32",
  shape: [...shape],
  data,
});

/** `[n, C, H, W]` to `[n, H, W, C]`; rows `from … to - 1`. */
function images({ shape, data }: FixtureTensor, from = 0, to = shape[0]!): HostTensor {
  const [, channels, height, width] = shape as [number, number, number, number];
  const plane = height * width;
  const out = new Float32Array((to - from) * channels * plane);
  for (let i = from; i < to; i++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++)
        out[((i - from) * plane + p) * channels + c] = data[(i * channels + c) * plane + p]!;
  return float32([to - from, height, width, channels], out);
}

/** Rows of `[b * m, …]` whose copies are adjacent, the whole batch copy after copy. */
function inBlocks({ shape, data }: HostTensor, copies: number): HostTensor {
  const rows = shape[0]!;
  const size = data.length / rows;
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const [image, copy] = [Math.floor(row / copies), row % copies];
    const to = copy * (rows / copies) + image;
    out.set(data.subarray(row * size, (row + 1) * size) as Float32Array, to * size);
  }
  return float32(shape, out);
}

function concatenated(parts: readonly HostTensor[]): HostTensor {
  const data = new Float32Array(parts.reduce((n, part) => n + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return float32([parts.length * parts[0]!.shape[0]!, ...parts[0]!.shape.slice(1)], data);
}

/** The inputs of every step: pieces of the recorded batches, their draws, the schedule. */
export function recordedInputs(
  run: RecordedCase,
  tensors: RecordedTensors,
  method: TrainingMethod,
): HostTensors[] {
  const chunked = ["smoothadv", "consistency", "smoothmix", "catrs"].includes(run.method);
  const { copies } = method;
  const pieces = chunked ? copies : 1;
  const steps: HostTensors[] = [];
  for (let batch = 0; tensors.names.includes(`batch${batch}.x`); batch++) {
    const x = tensors.get(`batch${batch}.x`);
    const size = Math.floor(x.shape[0]! / pieces);
    for (let piece = 0; piece < pieces && steps.length < run.n_steps; piece++) {
      const [from, to] = [piece * size, (piece + 1) * size];
      steps.push({
        images: images(x, from, to),
        targets: oneHot(tensors.get(`batch${batch}.y`).data.subarray(from, to), run.nclasses),
        ...(run.method === "catrs"
          ? { softLabels: rows(tensors.get(`batch${batch}.pb`), from, to) }
          : {}),
        ...drawsOf(run, tensors, steps.length, copies, chunked),
        ...schedule(method, run.epoch),
      });
    }
  }
  return steps;
}

function drawsOf(
  run: RecordedCase,
  tensors: RecordedTensors,
  step: number,
  copies: number,
  chunked: boolean,
): HostTensors {
  const here = run.draws.filter((draw) => draw.step === step);
  const [first, ...rest] = here.map(({ name }) => tensors.get(name));
  const last = here.at(-1)!;
  if (run.method === "smoothadv") {
    const noise = inBlocks(images(first!), copies);
    return rest.length > 0 ? { noise, ...directionsOf(rest.map((r) => images(r))) } : { noise };
  }
  if (!chunked) return { noise: inBlocks(images(first!), copies) };
  const noise = concatenated([first!, ...rest].slice(0, copies).map((n) => images(n)));
  if (last.kind === "rand") return { noise, uniform: rows(tensors.get(last.name)) };
  if (last.kind === "binomial") return { noise, counts: rows(tensors.get(last.name)) };
  return { noise };
}

/** The draws for the images without a gradient, `[steps, zeros, H, W, C]`; spread over the batch by the step itself. */
const directionsOf = (draws: readonly HostTensor[]): HostTensors => ({
  zeroDirections: float32(
    [draws.length, ...draws[0]!.shape],
    concatenated(draws).data as Float32Array,
  ),
});

const rows = ({ shape, data }: FixtureTensor, from = 0, to = shape[0]!): HostTensor => {
  const size = data.length / shape[0]!;
  return float32(
    [to - from, ...shape.slice(1)],
    data.slice(from * size, to * size) as Float32Array,
  );
};

function oneHot(labels: ArrayLike<number>, classes: number): HostTensor {
  const data = new Float32Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) data[i * classes + labels[i]!] = 1;
  return float32([labels.length, classes], data);
}

const schedule = (method: TrainingMethod, epoch: number): HostTensors =>
  Object.fromEntries(
    Object.entries(method.schedule(epoch)).map(([name, value]) => [
      `schedule.${name}`,
      float32([], Float32Array.of(value)),
    ]),
  );

/**
 * What a step gives: `loss`, `metric.*`, `grad.*`, `after.*`, `momentum.*`, `buffer.*`, `attacked.*`, and
 * `images`, how many there were.
 */
export type StepResult = Record<string, HostTensor>;

/** The recorded run: every step from the parameters that the one before left. */
export async function runRecorded(
  executor: Executor,
  run: RecordedCase,
  tensors: RecordedTensors,
  initial: RecordedTensors,
): Promise<StepResult[]> {
  const method = recordedObjective(run);
  let state = initialState(initial);
  const results: StepResult[] = [];
  const programs = new Map<string, PreparedFunction>(); // by the shapes of the batch
  const prepare = async (inputs: HostTensors) => {
    const specs = specsOf(inputs);
    const shapes = JSON.stringify(specs);
    const program =
      programs.get(shapes) ?? (await executor.prepareFunction({ fn: stepOf(run, method), specs }));
    programs.set(shapes, program);
    return program;
  };
  for (const inputs of recordedInputs(run, tensors, method)) {
    const result = await (await prepare({ ...state, ...inputs }))({ ...state, ...inputs });
    const images = float32([], Float32Array.of(inputs.images!.shape[0]!));
    results.push({ ...result, images });
    state = { ...state, ...renamed(result, "after.", ""), ...renamed(result, "buffer.", "") };
    state = { ...state, ...renamed(result, "momentum.", "momentum.") };
  }
  for (const program of programs.values()) program.dispose();
  return results;
}

const renamed = (record: HostTensors, from: string, to: string): HostTensors =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(from) ? [[to + name.slice(from.length), value]] : [],
    ),
  );

function initialState(initial: RecordedTensors): HostTensors {
  const state: Record<string, HostTensor> = {};
  for (const name of initial.names) {
    if (name.endsWith("num_batches_tracked")) continue;
    const own = name.startsWith("init.")
      ? name.slice(5)
      : /^(conv|fc)\d/.test(name)
        ? `1.${name}`
        : null;
    if (own === null) continue;
    const value = rows(initial.get(name));
    state[own] = value;
    if (!own.includes("running_"))
      state[`momentum.${own}`] = float32(value.shape, new Float32Array(value.data.length));
  }
  return state;
}

const specsOf = (values: HostTensors): TensorSpecs =>
  Object.fromEntries(
    Object.entries(values).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
  );

/** One step of the official loop as a function of everything it reads. */
function stepOf(run: RecordedCase, method: TrainingMethod): (inputs: Tensors) => Tensors {
  const { momentum, weight_decay: weightDecay } = run.args as Record<string, number>;
  const optimizer = sgd({ momentum: momentum!, weightDecay: weightDecay! });
  const scalars = optimizer.scalars(0, learningRate(run));
  return (inputs) => {
    const pick = (prefix: string) => pickTensors(inputs, prefix);
    const slots = pick("momentum.");
    const params = Object.fromEntries(Object.keys(slots).map((name) => [name, inputs[name]!]));
    const buffers = Object.fromEntries(
      Object.entries(inputs).filter(([name]) => name.includes("running_")),
    );
    const batch = {
      images: inputs.images!,
      targets: inputs.targets!,
      ...(inputs.softLabels ? { softLabels: inputs.softLabels } : {}),
      schedule: pick("schedule."),
    };
    const { zeroDirections, noise, uniform, counts } = inputs;
    const sigma = run.args.noise_sd!;
    const apply = referenceModels[run.model]!;
    const draws = {
      noise: noise!,
      sigma,
      ...(uniform ? { uniform } : {}),
      ...(counts ? { counts } : {}),
      ...(zeroDirections ? { directions: spread(zeroDirections, inputs, apply, sigma) } : {}),
    };
    const { loss, aux, gradients } = valueAndGradients((p) => {
      const all = { ...buffers, ...p };
      const result = method.loss(recording(apply), all, batch, draws);
      return { loss: result.loss, aux: { ...named("metric.", result.metrics), ...result.updates } };
    }, params);
    const slotState = named("momentum_buffer.", slots);
    const updated = optimizer.update(
      gradients,
      slotState,
      params,
      Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tf.scalar(value)])),
    );
    return {
      loss,
      ...named("grad.", gradients),
      ...named("after.", updated.params),
      ...named("momentum.", pickTensors(updated.state, "momentum_buffer.")),
      ...named("metric.", pickTensors(aux, "metric.")),
      ...named(
        "buffer.",
        Object.fromEntries(Object.entries(aux).filter(([n]) => n.includes("running_"))),
      ),
      ...attacked(run, aux, batch.images, tf.mul(noise!, sigma)),
    };
  };
}

/** What the training passes saw, without the noise (or without the images, where the noise was attacked). */
function attacked(
  { method }: RecordedCase,
  passes: Tensors,
  images: tf.Tensor,
  noise: tf.Tensor,
): Tensors {
  const size = [images.shape[0]!, -1, -1, -1];
  const first = (x: tf.Tensor) => tf.slice(x, [0, 0, 0, 0], size);
  const without = (pass: tf.Tensor) => tf.sub(first(pass), first(noise));
  if (method === "catrs") {
    const copies = noise.shape[0]! / images.shape[0]!;
    return { "attacked.noise": tf.sub(passes["inputs.1"]!, tf.tile(images, [copies, 1, 1, 1])) };
  }
  if (!["smoothadv", "consistency", "smoothmix"].includes(method)) return {};
  const mix = method === "smoothmix" ? { "attacked.mix": without(passes["inputs.1"]!) } : {};
  return { "attacked.images": without(passes["inputs.0"]!), ...mix };
}

const named = (prefix: string, record: Tensors): Tensors =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]));

const pickTensors = (record: Tensors, prefix: string): Tensors =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );

/** `apply` that hands out the images of each training pass among its updates, as `inputs.0`, `inputs.1`. */
function recording(apply: ApplyFunction): ApplyFunction {
  let pass = 0;
  return (params, images, options) => {
    const output = apply(params, images, options);
    if (!options?.training) return output;
    return { ...output, updates: { ...output.updates, [`inputs.${pass++}`]: images } };
  };
}

/** Draws for the images whose gradient is exactly 0, at the places of these images. */
function spread(
  draws: tf.Tensor,
  { noise, images, targets, ...params }: Tensors,
  apply: ApplyFunction,
  sigma: number,
): tf.Tensor {
  const scaled = tf.mul(noise!, sigma);
  const { gradients } = valueAndGradients(
    ({ x }) => {
      const { logits } = apply(params, tf.add(x!, scaled));
      return { loss: tf.sum(softmaxCrossEntropy(logits, targets!)) };
    },
    { x: images! },
  );
  const isZero = tf.equal(tf.sum(tf.abs(gradients.x!), [1, 2, 3]), 0); // [B]
  const place = tf.sub(tf.cumsum(tf.cast(isZero, "float32")), 1);
  const atPlace = tf.gather(draws, tf.cast(tf.maximum(place, 0), "int32"), 1);
  return tf.reshape(atPlace, [draws.shape[0]!, ...images!.shape]);
}

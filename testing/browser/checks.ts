// What is computed in Node and in the browser alike; only plain data goes in and out.
import "@tensorflow/tfjs-backend-cpu";
import { loadCheckpoint } from "@dmae/checkpoint";
import { compiledExecutor, exportOnnx } from "@dmae/compile";
import {
  DmaeError,
  foldIn,
  type HostTensor,
  type HostTensors,
  key,
  normal,
  uniform,
} from "@dmae/core";
import {
  type Executor,
  eagerExecutor,
  type Params,
  selectBackend,
  softmaxCrossEntropy,
  type Tensors,
} from "@dmae/nn";
import { certify, fromOnnx } from "@dmae/smoothing-certify";
import { adamw, createTrainStep } from "@dmae/train";
import { unprefixed } from "@dmae/train/tasks";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

/** Who computes: ONNX Runtime by this provider, or a backend of TensorFlow.js. */
export type Where =
  | { provider?: "cpu" | "wasm" | "webgpu"; threads?: number }
  | { backend: string };

const size = 16;
const classes = 4;
const batchSize = 16;
const sigma = 0.25;
const vit = createViT({
  width: 32,
  depth: 2,
  heads: 2,
  imageSize: size,
  patchSize: 4,
  channels: 1,
  numClasses: classes,
  mean: [0.5],
  std: [0.5],
});

async function executorFor(where: Where): Promise<Executor> {
  if ("backend" in where) {
    await selectBackend(where.backend);
    return eagerExecutor();
  }
  if (where.provider !== "webgpu") return compiledExecutor(where);
  return compiledExecutor({
    ...where,
    onnxruntime: watched(await import("onnxruntime-web/webgpu")),
  });
}

/** Inputs of the last run that lay on the card before it. */
let onCard = 0;

/** ONNX Runtime with sessions that tell where the inputs of their runs lie. */
function watched(ort: typeof import("onnxruntime-web")) {
  const create = async (...args: Parameters<typeof ort.InferenceSession.create>) => {
    const session = await ort.InferenceSession.create(...args);
    const run = session.run.bind(session);
    session.run = (feeds: Parameters<typeof run>[0], ...rest: []) => {
      const tensors = Object.values(feeds) as { location?: string }[];
      onCard = tensors.filter(({ location }) => location === "gpu-buffer").length;
      return run(feeds, ...rest);
    };
    return session;
  };
  return { ...ort, InferenceSession: { create } };
}

/** Grey pictures; one quarter is brighter, and which one is the class. Noise on top, as in training. */
function pictures(index: number, noise = sigma): { x: HostTensor; y: HostTensor } {
  const pixels = size * size;
  const data = uniform(foldIn(key(1), index), batchSize * pixels).map((v) => 0.3 + 0.1 * v);
  const draws = normal(foldIn(key(2), index), data.length);
  const y = new Float32Array(batchSize * classes);
  for (let i = 0; i < batchSize; i++) {
    const quarter = i % classes;
    y[i * classes + quarter] = 1;
    for (let p = 0; p < pixels; p++) {
      const [row, column] = [Math.floor(p / size), p % size];
      const isBright =
        quarter === 2 * Math.floor((2 * row) / size) + Math.floor((2 * column) / size);
      const at = i * pixels + p;
      data[at] = data[at]! + (isBright ? 0.2 : 0) + noise * draws[at]!;
    }
  }
  return {
    x: { dtype: "float32", shape: [batchSize, size, size, 1], data: data as Float32Array },
    y: { dtype: "float32", shape: [batchSize, classes], data: y },
  };
}

const specsOf = (batch: HostTensors) =>
  Object.fromEntries(Object.entries(batch).map(([name, { shape }]) => [name, { shape }]));

const classify = ({ x, ...params }: Tensors) => ({ logits: vit.logits(params as Params, x!) });

/** Logits of the untrained network, whose head is enlarged: fresh ones are nearly zero. */
export async function logits(where: Where): Promise<number[]> {
  const executor = await executorFor(where);
  const { x } = pictures(0);
  const constants = vit.initHost(key(0));
  constants["head.weight"]!.data.forEach((value, i, data) => {
    data[i] = 1e4 * value;
  });
  const program = await executor.prepareFunction({
    fn: classify,
    specs: { x: { shape: x.shape } },
    constants,
  });
  const result = await program({ x });
  program.dispose();
  return [...result.logits!.data];
}

/** Images a second of a larger network (width 192, depth 6, 64 tokens), for a second or so. */
export async function speed(where: Where): Promise<number> {
  const executor = await executorFor(where);
  const larger = createViT({ width: 192, depth: 6, heads: 3, imageSize: 32, patchSize: 4 });
  const shape = [batchSize, 32, 32, 3];
  const x = { dtype: "float32", shape, data: uniform(key(3), batchSize * 3072) } as const;
  const program = await executor.prepareFunction({
    fn: ({ x, ...params }) => ({ tokens: larger.features(params as Params, x!) }),
    specs: { x: { shape } },
    constants: larger.initHost(key(0)),
  });
  await program({ x });
  const started = performance.now();
  let runs = 0;
  while (performance.now() - started < 1000) {
    await program({ x });
    runs++;
  }
  const rate = (1000 * runs * batchSize) / (performance.now() - started);
  program.dispose();
  return rate;
}

/** AdamW steps under noise: the losses, and the parameters afterwards. */
export async function train(where: Where, steps: number) {
  const executor = await executorFor(where);
  const training = createTrainStep({
    loss: (params, { x, y }) => ({
      loss: tf.mean(softmaxCrossEntropy(vit.logits(params, x!), y!)),
    }),
    optimizer: adamw(),
    schedule: () => 3e-3,
    stepsPerEpoch: 100,
  });
  const before = tf.engine().state.numTensors;
  const state = training.initState(vit.initHost(key(0)));
  const specs = specsOf({ ...pictures(0), ...training.inputs(0) });
  const step = await executor.prepareStep(training.step, { state, batch: specs });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const { loss } = await step({ ...pictures(i), ...training.inputs(i) });
    losses.push(loss!);
    if (i === 1) await step.state(); // which may lie on a card, and is used after it was read
  }
  const keptOnCard = onCard === Object.keys(state).length;
  const end = await step.state();
  step.dispose();
  const params = Object.fromEntries(
    Object.entries(unprefixed("params.", end)).map(([name, { shape, data }]) => [
      name,
      { shape: [...shape], data: [...data] },
    ]),
  );
  return { losses, params, keptOnCard, leaked: tf.engine().state.numTensors - before };
}

/** An `.onnx` file of a network with these parameters. */
export function onnxFile(params: Record<string, { shape: number[]; data: number[] }>): Uint8Array {
  const constants = Object.fromEntries(
    Object.entries(params).map(([name, { shape, data }]) => [
      name,
      { dtype: "float32" as const, shape, data: Float32Array.from(data) },
    ]),
  );
  const specs = { x: { shape: [1, size, size, 1] } };
  return exportOnnx({ fn: classify, specs, constants }, { dynamicBatch: true });
}

/** Certifies the first pictures, one of each class. */
export async function certifyFile(
  file: string | URL,
  { webgpu = false, blob = false, images = classes } = {},
) {
  const source = blob ? await (await fetch(file)).blob() : file;
  const classifier = await fromOnnx(source, {
    ...(webgpu && {
      onnxruntime: await import("onnxruntime-web/webgpu"),
      session: { executionProviders: ["webgpu"], logSeverityLevel: 3 },
    }),
  });
  const { x } = pictures(7, 0);
  const results = [];
  for (let i = 0; i < images; i++) {
    const data = (x.data as Float32Array).slice(i * size * size, (i + 1) * size * size);
    const options = { sigma, n0: 32, n: 224, batchSize: 32, seed: i };
    const { prediction, radius, pLower, counts } = await certify(
      classifier,
      { data, shape: [size, size, 1] },
      options,
    );
    results.push({ prediction, radius, pLower, counts: [...counts] });
  }
  await classifier.dispose();
  return results;
}

/** Every tensor of a checkpoint. */
export async function readCheckpoint(file: string | URL, { blob = false } = {}) {
  const checkpoint = await loadCheckpoint(blob ? await (await fetch(file)).blob() : file);
  const tensors = await checkpoint.readAll();
  await checkpoint.close();
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [name, { shape, data: [...data] }]),
  );
}

/** What the browser offers. */
export async function surroundings() {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<{ info: object } | null> } };
  const adapter = await gpu?.requestAdapter();
  const { vendor, architecture } = (adapter?.info ?? {}) as Record<string, string>;
  return { crossOriginIsolated, adapter: adapter && `${vendor} ${architecture}` };
}

/** What `selectBackend("auto")` chooses, and why. */
export async function chosenBackend(): Promise<string> {
  let chosen = "";
  await selectBackend("auto", {
    onReport: ({ reason }) => {
      chosen = reason;
    },
  });
  return chosen;
}

/** Errors of things that a browser cannot do, as `code: message`. */
export async function refusals(): Promise<string[]> {
  const { readLog } = await import("@dmae/smoothing-certify");
  const { inWorkers } = await import("@dmae/smoothing-certify/workers");
  const attempts = [
    () => fromOnnx(Uint8Array.of(1, 2, 3)),
    () => fromOnnx("/nowhere.onnx"),
    () => logits({ provider: "cuda" as never }),
    () => selectBackend("tfjs-node"),
    () => readLog("run.tsv"),
    () => inWorkers("classify.js"),
  ];
  const told: string[] = [];
  for (const attempt of attempts)
    await attempt().then(
      () => told.push("no error"),
      (error: Error) =>
        told.push(DmaeError.isInstance(error) ? `${error.code}: ${error.message}` : `${error}`),
    );
  return told;
}

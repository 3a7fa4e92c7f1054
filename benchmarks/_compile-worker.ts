// Our side of benchmarks/compile.ts: answers the requests that torch_baseline.py answers, one JSON object a line.
import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import { createInterface } from "node:readline";
import { compiledExecutor, type ProgramStatistics, quantize } from "@dmae/compile";
import { type ConvNetName, createConvNet } from "@dmae/convnet";
import { foldIn, type HostTensors, key } from "@dmae/core";
import { type Executor, eagerExecutor, type Params, selectBackend, type Tensors } from "@dmae/nn";
import { createDmae } from "@dmae/pretrain";
import { pretrainInputs, pretrainTask } from "@dmae/pretrain/tasks";
import { certify } from "@dmae/smoothing-certify";
import { taskStep } from "@dmae/train/tasks";
import { createViT } from "@dmae/vit";
import { classifierStep, floats } from "./_classifier-step.ts";

/** The shape of a model, as torch_baseline.py reads it. */
export interface Model {
  image: number;
  patch: number;
  channels: number;
  width: number;
  depth: number;
  heads: number;
  classes: number;
  pretrain?: boolean;
  /** A network of @dmae/convnet in place of a Vision Transformer; only image, channels and classes count. */
  convnet?: ConvNetName;
}

/** One request. */
export interface Request {
  id: string;
  model: Model;
  task: "forward" | "train" | "certify";
  batch: number;
  /** compiled, or a TensorFlow.js backend. */
  mode: string;
  dtype: "float32" | "int8" | "bfloat16";
  threads: number;
  seconds: number;
}

interface Prepared {
  /** Images of one turn. */
  images: number;
  /** Runs one turn, or several: see `begun`. */
  run(): Promise<unknown>;
  /** When the turns of the last run began; left out where a run is one turn. */
  begun?: () => readonly number[];
  statistics?: ProgramStatistics | undefined;
}

const specsOf = (batch: HostTensors) =>
  Object.fromEntries(
    Object.entries(batch).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
  );

const shapeOf = ({ image, patch, channels, width, depth, heads, classes }: Model) => ({
  imageSize: image,
  patchSize: patch,
  channels,
  width,
  depth,
  heads,
  numClasses: classes,
  mean: Array<number>(channels).fill(0.5),
  std: Array<number>(channels).fill(0.25),
});

/** The classifier of a request, and its class scores. */
function classifierOf(model: Model) {
  if (model.convnet) return createConvNet(model.convnet, { numClasses: model.classes });
  return createViT(shapeOf(model));
}

async function prepare(request: Request): Promise<Prepared> {
  let statistics: ProgramStatistics | undefined;
  const onCompiled = (facts: ProgramStatistics) => {
    statistics = facts;
  };
  const executor = (extra: object = {}): Executor =>
    request.mode === "compiled"
      ? compiledExecutor({ threads: request.threads, onCompiled, ...extra })
      : eagerExecutor();
  const result =
    request.task !== "train"
      ? await inference(request, executor)
      : request.model.pretrain
        ? await pretraining(request, executor({ precision: request.dtype }))
        : await training(request, executor({ precision: request.dtype }));
  return { ...result, statistics };
}

/** No bias is zero, as in a trained model: the compiler would drop it. */
function trained(params: HostTensors): HostTensors {
  for (const { data, shape } of Object.values(params))
    if (shape.length === 1)
      for (let i = 0; i < data.length; i++) data[i]! += 0.01 * Math.sin(i + 1);
  return params;
}

async function inference(
  { model, batch, dtype, task }: Request,
  executor: (extra?: object) => Executor,
): Promise<Prepared> {
  const net = classifierOf(model);
  const shape = [batch, model.image, model.image, model.channels];
  const inputs = { x: { shape } };
  const constants = trained(net.initHost(key(0)));
  const fn = ({ x, ...params }: Tensors) => ({ logits: net.logits(params as Params, x!) });
  const calibration = [1, 2].map((i) => ({ x: floats(i, shape) }));
  const extra =
    dtype === "int8"
      ? {
          precision: "int8",
          quantization: await quantize({ fn, specs: inputs, constants }, { calibration }),
        }
      : {};
  const program = await executor(extra).prepareFunction({ fn, specs: inputs, constants });
  if (task === "forward") {
    const x = floats(3, shape);
    return { images: batch, run: () => program({ x }) };
  }
  const image = floats(4, shape.slice(1)).data as Float32Array;
  const n = 32 * batch;
  let begun: number[] = [];
  const classifier = {
    input: "array" as const,
    fixedBatchSize: batch,
    numClasses: model.classes,
    async predict(data: Float32Array) {
      begun.push(performance.now());
      return (await program({ x: { dtype: "float32", shape, data } })).logits;
    },
  };
  let seed = 0;
  const options = { sigma: 0.25, n0: batch, n: n - batch, shape: shape.slice(1), batchSize: batch };
  const run = () => {
    begun = [];
    return certify(classifier, image, { ...options, seed: seed++ });
  };
  return { images: batch, run, begun: () => begun };
}

async function training({ model, batch }: Request, executor: Executor): Promise<Prepared> {
  const { train, state, batch: images } = classifierStep(classifierOf(model), batch);
  const specs = specsOf({ ...images, ...train.inputs(0) });
  const prepared = await executor.prepareStep(train.step, { state, batch: specs });
  let step = 0;
  return { images: batch, run: () => prepared({ ...images, ...train.inputs(step++) }) };
}

async function pretraining({ model, batch }: Request, executor: Executor): Promise<Prepared> {
  const { numClasses, ...shape } = shapeOf(model);
  const dmae = createDmae({
    ...shape,
    decoderWidth: 96,
    decoderDepth: 2,
    decoderHeads: 3,
    sigma: 0.25,
  });
  const params = dmae.initHost(key(0));
  const recipe = {
    weightDecay: 0.05,
    beta1: 0.9,
    beta2: 0.95,
    accumulate: 1,
    normPixLoss: false,
    region: "all",
    minLearningRate: 0,
    warmupEpochs: 0,
    epochs: 10,
    baseLearningRate: 1e-4,
    batchSize: batch,
  };
  const train = taskStep(pretrainTask(dmae, recipe as never, params), { stepsPerEpoch: 1000 });
  const images = {
    images: floats(7, [batch, model.image, model.image, model.channels]).data as Float32Array,
    labels: new Int32Array(batch),
    indices: Int32Array.from({ length: batch }, (_, i) => i),
    size: batch,
    imageShape: [model.image, model.image, model.channels] as const,
  };
  const inputs = (step: number) => ({
    ...pretrainInputs(images, {
      key: foldIn(key(0), step),
      epoch: 0,
      length: dmae.length,
      maskRatio: 0.75,
    }),
    ...train.inputs(step),
  });
  const state = train.initState(params);
  const prepared = await executor.prepareStep(train.step, { state, batch: specsOf(inputs(0)) });
  let step = 0;
  return { images: batch, run: () => prepared(inputs(step++)) };
}

const kept = new Map<string, Prepared>();

async function answer(request: Request) {
  const { model, task, batch, mode, dtype, threads } = request;
  const name = JSON.stringify([model, task, batch, mode, dtype, threads]);
  // Every time: a request in between may have been for another backend.
  if (mode !== "compiled") await selectBackend(mode);
  let prepared = kept.get(name);
  if (!prepared) {
    prepared = await prepare(request);
    kept.set(name, prepared);
    await prepared.run();
  }
  await prepared.run();
  const rates: number[] = [];
  const started = performance.now();
  while (rates.length === 0 || performance.now() - started < 1000 * request.seconds) {
    const before = performance.now();
    await prepared.run();
    // From batch to batch of a certification lie prediction, counting and the noise of the next one.
    const times = prepared.begun?.() ?? [before, performance.now()];
    for (let i = 1; i < times.length; i++)
      rates.push((1000 * prepared.images) / (times[i]! - times[i - 1]!));
  }
  const peak_mb = process.resourceUsage().maxRSS / 1024;
  return { id: request.id, rates, peak_mb, statistics: prepared.statistics };
}

process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request;
  const reply = await answer(request).catch((error: Error) => ({
    id: request.id,
    error: error.message.slice(0, 400),
  }));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

// Images per second of a forward pass, a training step and a certification, and the card's memory; PyTorch on the same card, in the same stage.
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { compile, compileStep } from "@dmae/compile";
import { certify } from "@dmae/smoothing-certify";
import { noiseInWorkers } from "@dmae/smoothing-certify/workers";
import { forwardProgram, shapes, trainingStep } from "./models.mjs";

export async function throughput({ provider, toy, precisions, batches, seconds, row }) {
  const name = toy ? "toy" : "ViT-B/16";
  const shape = shapes[name];
  for (const task of ["forward", "train"])
    for (const precision of precisions)
      for (const batch of batches)
        await row(`${name} ${task} ${precision} batch ${batch}`, () =>
          measure(task, shape, batch, { provider, precision }, seconds),
        );
  // What kernels of our own gain: the rows above have them.
  for (const task of provider === "webgpu" ? [] : ["forward", "train"])
    for (const precision of precisions)
      await row(`${name} ${task} ${precision} batch ${batches.at(-1)}, standard kernels`, () =>
        measure(task, shape, batches.at(-1), { provider, precision, kernels: "standard" }, seconds),
      );
  // What the recorded CUDA graph of a step gains.
  for (const precision of provider === "webgpu" ? [] : precisions)
    await row(`${name} train ${precision} batch ${batches[0]}, without CUDA graphs`, () =>
      withoutGraphs(() => measure("train", shape, batches[0], { provider, precision }, seconds)),
    );
  for (const precision of precisions)
    await row(`${name} certify ${precision} batch ${batches.at(-1)}`, () =>
      certification(shape, batches.at(-1), { provider, precision }, seconds),
    );
}

async function withoutGraphs(run) {
  process.env.DMAE_CUDA_GRAPHS = "off";
  try {
    return await run();
  } finally {
    delete process.env.DMAE_CUDA_GRAPHS;
  }
}

/** Noisy images per second of one certificate: noise drawn in worker threads, predictions and counts. */
async function certification(shape, batch, options, seconds) {
  const { program, inputs } = forwardProgram(shape, batch);
  const run = await compile(program, options);
  const noise = await noiseInWorkers({ seed: 0, sigma: 0.25 });
  try {
    const side = shape.image;
    const classifier = {
      name: "prove-gpu",
      input: "array",
      fixedBatchSize: batch,
      numClasses: shape.classes,
      predict: async (x) => (await run({ x })).logits,
    };
    const size = side * side * shape.channels;
    const image = { data: inputs.x.data.slice(0, size), shape: [side, side, shape.channels] };
    await run(inputs);
    const before = performance.now();
    await run(inputs);
    const n = batch * Math.max(4, Math.round((1000 * seconds) / (performance.now() - before)));
    const started = performance.now();
    await certify(classifier, image, { sigma: 0.25, noise, n0: batch, n, alpha: 0.001 });
    const rate = (1000 * (n + batch)) / (performance.now() - started);
    return { median: Number(rate.toFixed(2)), n, workers: noise.workers };
  } finally {
    await noise.close();
    run.dispose();
  }
}

async function measure(task, shape, batch, options, seconds) {
  const { run, dispose, milliseconds, kernels, memory } = await prepare(
    ...[task, shape, batch, options],
  );
  try {
    await run();
    await run();
    // Two calls are under way, so that one's inputs go to the card while the other computes, as in training. Answers may come
    // in pairs: a time is the mean of four.
    const ends = [performance.now()];
    let running = run();
    while (ends.length < 8 || ends.at(-1) - ends[0] < seconds * 1000) {
      const next = run();
      await running;
      running = next;
      ends.push(performance.now());
    }
    await running;
    const times = ends.slice(4).map((end, i) => (end - ends[i]) / 4);
    times.sort((a, b) => a - b);
    const rate = (time) => Number(((1000 * batch) / time).toFixed(2));
    return {
      median: rate(times[times.length >> 1]),
      best: rate(times[0]),
      runs: times.length,
      kernels,
      stateIn: memory,
      loadMilliseconds: Math.round(milliseconds),
      memoryMiB: usedMemory(),
    };
  } finally {
    dispose();
  }
}

async function prepare(task, shape, batch, options) {
  const started = performance.now();
  if (task === "forward") {
    const { program, inputs } = forwardProgram(shape, batch);
    const compiled = await compile(program, options);
    const milliseconds = performance.now() - started;
    const { kernels, memory } = compiled.statistics;
    return {
      run: () => compiled(inputs),
      dispose: () => compiled.dispose(),
      milliseconds,
      kernels,
      memory,
    };
  }
  const { train, state, inputs, specs } = trainingStep(shape, batch);
  const step = await compileStep(train.step, { state, batch: specs }, options);
  const milliseconds = performance.now() - started;
  const all = { ...inputs, ...train.inputs(0) };
  const { kernels, memory } = step.statistics;
  return { run: () => step(all), dispose: () => step.dispose(), milliseconds, kernels, memory };
}

/** MiB of the card that processes use; null without a card. */
function usedMemory() {
  const { status, stdout } = spawnSync("nvidia-smi", [
    "--query-gpu=memory.used",
    "--format=csv,noheader,nounits",
  ]);
  return status === 0 ? Number(String(stdout).split("\n")[0]) : null;
}

/** The same rows by PyTorch: eager and compiled, with autocast for 16 bits. */
export async function torch({ toy, precisions, batches, seconds, python, device, row }) {
  const name = toy ? "toy" : "ViT-B/16";
  const script = fileURLToPath(new URL("../torch_baseline.py", import.meta.url));
  const child = spawn(python, [script], { stdio: ["pipe", "pipe", "ignore"] });
  const died = new Promise((_, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${python} torch_baseline.py ended with ${code}`)));
  });
  died.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = await Promise.race([lines.next(), died]);
    if (value === undefined) await died;
    return JSON.parse(value);
  };
  try {
    const found = await next().catch(() => null);
    await row("PyTorch version", () => {
      if (found) return found;
      throw new Error(`${python} has no PyTorch; name one that has with --python`);
    });
    if (!found) return;
    for (const task of ["forward", "train", "certify"])
      for (const dtype of precisions)
        for (const mode of ["eager", "compile"])
          for (const batch of batches) {
            const id = `PyTorch ${mode} ${name} ${task} ${dtype} batch ${batch}`;
            const request = {
              id,
              model: shapes[name],
              task,
              batch,
              mode,
              dtype,
              device,
              threads: 2,
              seconds,
            };
            await row(id, async () => {
              child.stdin.write(`${JSON.stringify(request)}\n`);
              const { rates, error, peak_mb: memoryMiB } = await next();
              if (error) throw new Error(error);
              rates.sort((a, b) => b - a);
              const shown = (rate) => Number(rate.toFixed(2));
              return {
                median: shown(rates[rates.length >> 1]),
                best: shown(rates[0]),
                runs: rates.length,
                memoryMiB: Math.round(memoryMiB),
              };
            });
          }
  } finally {
    child.kill();
  }
}

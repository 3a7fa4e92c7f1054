// ONNX Runtime through @dmae/compile against PyTorch on the same CPU, in turns, each in a process of its own.
// PyTorch at its best: eager and compiled, batches 32, 64 and 128 (64 and 256 for LeNet and ResNet-20, 32 and 64 for ResNet-110), threads found by trying; DMAE_PYTHON names a
// python with torch (default python3). DMAE_BENCH="tiny,base" chooses models, DMAE_BENCH_SECONDS the time of a turn.
// Convolutional networks take two to three minutes each: forward and train, float32, and no wait of more than COMPILE_SECONDS for
// torch.compile (a ResNet-110 takes it minutes; what it compiled is cached, so that a second run measures it).
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { physicalCores } from "@dmae/compile/executors";
import * as ort from "onnxruntime-node";
import type { Model, Request } from "./_compile-worker.ts";

interface Reply {
  id: string;
  rates?: number[];
  peak_mb?: number;
  error?: string;
  torch?: string;
  statistics?: {
    nodes: number;
    modelBytes: number;
    traceMilliseconds: number;
    loadMilliseconds: number;
  };
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const python = process.env.DMAE_PYTHON ?? "python3";
const seconds = Number(process.env.DMAE_BENCH_SECONDS ?? 2);
const rounds = Number(process.env.DMAE_BENCH_ROUNDS ?? 4);
const cores = physicalCores();
/** Whether the processor multiplies bfloat16 numbers itself. */
const hasBfloat16 =
  existsSync("/proc/cpuinfo") && readFileSync("/proc/cpuinfo", "utf8").includes("avx512_bf16");
/** How long torch.compile may take for a convolutional network. */
const COMPILE_SECONDS = Number(process.env.DMAE_BENCH_COMPILE_SECONDS ?? 60);

const convnet = (image: number, channels: number) => ({
  ...{ image, channels, classes: 10, patch: 0, width: 0, depth: 0, heads: 0 },
});

const models: Record<string, Model> = {
  tiny: { image: 28, patch: 4, channels: 1, width: 192, depth: 6, heads: 3, classes: 10 },
  pretrain: {
    image: 28,
    patch: 4,
    channels: 1,
    width: 192,
    depth: 6,
    heads: 3,
    classes: 10,
    pretrain: true,
  },
  lenet: { ...convnet(28, 1), convnet: "lenet" },
  resnet20: { ...convnet(32, 3), convnet: "cifar_resnet20" },
  resnet110: { ...convnet(32, 3), convnet: "cifar_resnet110" },
  small: { image: 224, patch: 16, channels: 3, width: 384, depth: 12, heads: 6, classes: 1000 },
  base: { image: 224, patch: 16, channels: 3, width: 768, depth: 12, heads: 12, classes: 1000 },
};

const titles: Record<string, string> = {
  tiny: "tiny (28 x 28, patch 4, width 192, depth 6)",
  pretrain: "DMAE pre-training of tiny (75 % masked, decoder 96 wide, 2 deep)",
  lenet: "LeNet (28 x 28)",
  resnet20: "CIFAR ResNet-20",
  resnet110: "CIFAR ResNet-110",
  small: "ViT-S/16 at 224",
  base: "ViT-B/16 at 224",
};

/** A training step of a ResNet-110 with 256 images takes seconds, and every answer is three steps at least. */
const convnetBatches = (name: string) => (name === "resnet110" ? [32, 64] : [64, 256]);

/** A process that answers requests, one line each. */
class Side {
  private readonly waiting: ((reply: Reply) => void)[] = [];
  readonly ready: Promise<Reply | null>;

  private constructor(private readonly child: ChildProcess) {
    const lines = createInterface({ input: child.stdout! });
    this.ready = new Promise((resolve) => {
      lines.once("line", (line) => resolve(JSON.parse(line)));
      child.once("error", () => resolve(null));
      child.once("exit", () => {
        resolve(null);
        for (const answer of this.waiting.splice(0)) answer({ id: "", error: "the process ended" });
      });
    });
    lines.on("line", (line) => {
      const reply = JSON.parse(line) as Reply;
      if (reply.id !== undefined) this.waiting.shift()?.(reply);
    });
  }

  static ours(): Side {
    return Side.start(process.execPath, [here("dist/compile-worker.js")]);
  }

  static torch(): Side {
    return Side.start(python, [here("torch_baseline.py")]);
  }

  private static start(command: string, args: string[]): Side {
    return new Side(spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] }));
  }

  /** Asks; after `limit` seconds the process is ended, and the reply is an error. */
  ask(request: Request, limit?: number): Promise<Reply> {
    return new Promise((resolve) => {
      const timer = limit === undefined ? undefined : setTimeout(() => this.stop(), 1000 * limit);
      this.waiting.push((reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    });
  }

  stop(): void {
    this.child.stdin?.end();
    this.child.kill();
  }
}

interface Contestant {
  name: string;
  side: Side;
  request: Request;
  rates: number[];
  error?: string;
}

const best = (rates: readonly number[]) => Math.max(...rates);
const median = (rates: readonly number[]) => [...rates].sort((a, b) => a - b)[rates.length >> 1]!;

/** PyTorch's fastest setting of a convolutional network: eager by short trials, compiled in a process that may be given up. */
async function bestOfConvolutions(
  torch: Side,
  compiling: Side,
  base: Pick<Request, "model" | "task">,
  batches: readonly number[],
): Promise<{ side: Side; request: Request; note: string } | null> {
  const trial = async (side: Side, batch: number, mode: string, limit?: number) => {
    const setting = { ...base, batch, mode, dtype: "float32", threads: cores } as const;
    const request: Request = { ...setting, id: `${mode} batch ${batch}`, seconds: 1 };
    const { rates } = await side.ask(request, limit);
    return { side, request: { ...request, seconds }, rate: rates ? best(rates) : 0 };
  };
  const trials: Awaited<ReturnType<typeof trial>>[] = [];
  for (const batch of batches) trials.push(await trial(torch, batch, "eager"));
  const fastest = () => trials.reduce((a, b) => (b.rate > a.rate ? b : a));
  const compiled = await trial(compiling, fastest().request.batch, "compile", COMPILE_SECONDS);
  trials.push(compiled);
  const note = compiled.rate > 0 ? "" : `; torch.compile was not ready in ${COMPILE_SECONDS} s`;
  return fastest().rate > 0 ? { ...fastest(), note } : null;
}

/** The fastest of PyTorch's settings for a task, by short trials. */
async function bestOfTorch(
  torch: Side,
  base: Pick<Request, "model" | "task">,
  dtype: Request["dtype"],
  batches: readonly number[],
): Promise<Request | null> {
  const request = (batch: number, mode: string, threads: number): Request => ({
    ...base,
    id: `${dtype} ${mode} batch ${batch} threads ${threads}`,
    batch,
    mode,
    dtype,
    threads,
    seconds: 1,
  });
  const trial = async (candidate: Request) => {
    const { rates } = await torch.ask(candidate);
    return { candidate, rate: rates ? best(rates) : 0 };
  };
  const threads = [...new Set([1, cores])];
  const first = await Promise.all(threads.map((t) => trial(request(batches[0]!, "eager", t))));
  const chosen = first.reduce((a, b) => (b.rate > a.rate ? b : a)).candidate.threads;
  const trials = [...first];
  for (const mode of ["eager", "compile"])
    for (const batch of batches) trials.push(await trial(request(batch, mode, chosen)));
  const fastest = trials.reduce((a, b) => (b.rate > a.rate ? b : a)).candidate;
  // The first choice of threads rests on one second of one setting: the winner tries all again, twice in turns.
  for (const t of [...threads, ...threads])
    trials.push(await trial(request(fastest.batch, fastest.mode, t)));
  const winner = trials.reduce((a, b) => (b.rate > a.rate ? b : a));
  return winner.rate > 0 ? { ...winner.candidate, seconds } : null;
}

/** Multiplications and additions of a forward pass of one image; of convolutional networks by their layers' shapes. */
function forwardFlops({ image, patch, channels, width, depth, classes, convnet }: Model): number {
  if (convnet) return CONVNET_FLOPS[convnet]!;
  const tokens = (image / patch) ** 2 + 1;
  const block = 24 * tokens * width ** 2 + 4 * tokens ** 2 * width;
  return 2 * (tokens - 1) * patch ** 2 * channels * width + depth * block + 2 * width * classes;
}

const CONVNET_FLOPS: Readonly<Record<string, number>> = {
  lenet: 4.59e6, // 24^2 25 20 + 8^2 500 50 + 800 500 + 500 10, times 2
  cifar_resnet20: 81.1e6,
  cifar_resnet110: 505.6e6,
};

/** Measures GFLOP/s of large float32 matrix products in ONNX Runtime, the ceiling of everyone, once a call. */
async function matrixProducts(): Promise<() => Promise<number>> {
  const { compile } = await import("@dmae/compile");
  const tf = await import("@tensorflow/tfjs-core");
  await import("@tensorflow/tfjs-backend-cpu");
  const size = 1024;
  const b = new Float32Array(size * size).fill(0.5);
  b[0] = 0.25;
  const host = { dtype: "float32" as const, shape: [size, size], data: b };
  const program = await compile({
    fn: ({ a, b }) => ({
      y: tf.sum(tf.matMul(tf.matMul(tf.matMul(tf.matMul(a, b!), b!), b!), b!)),
    }),
    specs: { a: { shape: [size, size] } },
    constants: { b: host },
  });
  return async () => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 10; i++) {
      const started = performance.now();
      await program({ a: host });
      least = Math.min(least, performance.now() - started);
    }
    return (4 * 2 * size ** 3) / least / 1e6;
  };
}

async function compare(
  name: string,
  task: Request["task"],
  hasTorch: boolean,
  measureCeiling: () => Promise<number>,
) {
  const model = models[name]!;
  const large = model.image === 224;
  const small = model.convnet ? convnetBatches(name) : [32, 64, 128];
  const batches = large ? [8] : small;
  const ours = Side.ours();
  await ours.ready;
  const torch = Side.torch();
  const compiling = Side.torch();
  if (hasTorch) await Promise.all([torch.ready, compiling.ready]);
  const contestants: Contestant[] = [];
  const add = (title: string, side: Side, request: Request | null) => {
    if (request)
      contestants.push({ name: title, side, request: { ...request, id: title }, rates: [] });
  };
  const mine = (batch: number, dtype: Request["dtype"], mode = "compiled"): Request => ({
    id: "",
    model,
    task,
    batch,
    mode,
    dtype,
    threads: cores,
    seconds,
  });
  for (const batch of large || task === "train" || model.convnet ? batches : [32, 64])
    add(`@dmae/compile float32, batch ${batch}`, ours, mine(batch, "float32"));
  if (task === "train" && hasBfloat16)
    for (const batch of batches)
      add(`@dmae/compile bfloat16, batch ${batch}`, ours, mine(batch, "bfloat16"));
  if (task !== "train" && !model.convnet)
    for (const batch of large ? [8] : [32, 64])
      add(`@dmae/compile int8, batch ${batch}`, ours, mine(batch, "int8"));
  if (name === "tiny" && task !== "certify")
    add("TensorFlow.js wasm, batch 32", ours, mine(32, "float32", "wasm"));
  const usual = large ? 8 : 128;
  if (task !== "certify" && !model.convnet)
    add(`TensorFlow.js tfjs-node, batch ${usual}`, ours, mine(usual, "float32", "tensorflow"));
  const base = { model, task };
  if (hasTorch && model.convnet) {
    const found = await bestOfConvolutions(torch, compiling, base, batches);
    const { mode, batch } = found?.request ?? {};
    const title = `PyTorch float32, its best: ${mode}, batch ${batch}, ${cores} threads${found?.note}`;
    if (found) add(title, found.side, found.request);
  } else if (hasTorch) {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const found = await bestOfTorch(torch, base, dtype, batches);
      add(
        `PyTorch ${dtype}, its best: ${found?.mode}, batch ${found?.batch}, ${found?.threads} threads`,
        torch,
        found,
      );
      if (dtype === "float32" && !large && found)
        add(`PyTorch float32 eager, batch ${batches.at(-1)}`, torch, {
          ...found,
          batch: batches.at(-1)!,
          mode: "eager",
        });
    }
  }
  const facts: string[] = [];
  let peak = 0;
  for (let round = 0; round < rounds; round++) {
    peak = Math.max(peak, await measureCeiling());
    for (const contestant of contestants) {
      if (contestant.error) continue;
      const reply = await contestant.side.ask(contestant.request);
      if (reply.error) contestant.error = reply.error;
      contestant.rates.push(...(reply.rates ?? []));
      const { statistics } = reply;
      if (round === 0 && statistics)
        facts.push(
          `${contestant.name}: ${statistics.nodes} nodes, ${(statistics.modelBytes / 1e6).toFixed(1)} MB, ` +
            `traced in ${Math.round(statistics.traceMilliseconds)} ms, loaded in ${Math.round(statistics.loadMilliseconds)} ms`,
        );
    }
  }
  ours.stop();
  torch.stop();
  compiling.stop();
  print(name, task, contestants, peak);
  console.log(
    `- ceiling: ${peak.toFixed(0)} GFLOP/s, float32 products of 1024 x 1024 in these rounds`,
  );
  for (const fact of facts) console.log(`- ${fact}`);
  await printMemory(contestants, model.convnet ? 1 : PEAKS);
}

function print(name: string, task: string, contestants: readonly Contestant[], peak: number): void {
  const torch = contestants.find((c) => c.name.startsWith("PyTorch float32, its best") && !c.error);
  const lead = torch ? { best: best(torch.rates), median: median(torch.rates) } : null;
  const share = task === "train" ? 3 : 1;
  const model = models[name]!;
  console.log(`\n### ${titles[name]}: ${task}\n`);
  console.log(
    "| | images/s, median | best | ratio to PyTorch's best float32 (median / best) | GFLOP/s of the ceiling |",
  );
  console.log("|---|---|---|---|---|");
  for (const { name: title, rates, error } of contestants) {
    if (error || rates.length === 0) {
      console.log(`| ${title} | ${(error ?? "no answer").split("\n")[0]!.slice(0, 80)} | | | |`);
      continue;
    }
    const ratio = lead
      ? `${(median(rates) / lead.median).toFixed(2)} / ${(best(rates) / lead.best).toFixed(2)}`
      : "";
    const flops = model.pretrain ? "" : (share * forwardFlops(model) * best(rates)) / 1e9;
    const used = flops === "" ? "" : `${flops.toFixed(0)} (${((100 * flops) / peak).toFixed(0)} %)`;
    const digits = best(rates) < 20 ? 2 : 0;
    console.log(
      `| ${title} | ${median(rates).toFixed(digits)} | ${best(rates).toFixed(digits)} | ${ratio} | ${used} |`,
    );
  }
  console.log("");
}

/** Processes whose peaks of memory are measured for each side; the median is printed. */
const PEAKS = 3;

/** Peak memory of fresh processes that do nothing but the fastest setting of either side. */
async function printMemory(contestants: readonly Contestant[], processes: number): Promise<void> {
  const fastest = (prefix: string) =>
    contestants
      .filter((c) => c.name.startsWith(prefix) && !c.error && c.rates.length > 0)
      .sort((a, b) => best(b.rates) - best(a.rates))[0];
  const pairs = [
    [fastest("@dmae/compile float32"), Side.ours],
    [fastest("PyTorch float32"), Side.torch],
  ] as const;
  const parts: string[] = [];
  for (const [contestant, start] of pairs) {
    if (!contestant) continue;
    const peaks: number[] = [];
    for (let i = 0; i < processes; i++) {
      const side = start();
      await side.ready;
      const { peak_mb } = await side.ask({ ...contestant.request, seconds: 1 });
      side.stop();
      if (peak_mb) peaks.push(peak_mb);
    }
    const [low, high] = [Math.min(...peaks), best(peaks)].map((mb) => mb.toFixed(0));
    parts.push(`${contestant.name} ${median(peaks).toFixed(0)} MB (${low} to ${high})`);
  }
  console.log(`- peak memory of a process, median of ${processes}: ${parts.join("; ")}`);
}

/** Prints a table for every model and task. */
export async function compileBenchmark(): Promise<void> {
  const chosen = process.env.DMAE_BENCH?.split(",") ?? Object.keys(models);
  const tasksOf = ({ pretrain, convnet }: Model) => {
    if (pretrain) return ["train"];
    return convnet ? ["forward", "train"] : ["forward", "train", "certify"];
  };
  const probe = Side.torch();
  const torch = await probe.ready;
  probe.stop();
  const measureCeiling = await matrixProducts();
  const { version } = ort.env.versions as { version?: string } & { node?: string };
  console.log(`ONNX Runtime ${ort.env.versions.node ?? version ?? ""}, ${cores} threads`);
  console.log(
    torch ? `PyTorch ${torch.torch}` : `PyTorch: skipped, ${python} has no torch (set DMAE_PYTHON)`,
  );
  for (const name of chosen)
    for (const task of tasksOf(models[name]!) as Request["task"][])
      if (process.env.DMAE_BENCH_TASKS?.split(",").includes(task) ?? true)
        await compare(name, task, torch !== null, measureCeiling);
}

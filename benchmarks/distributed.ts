import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Costs, efficiency, type Link, ringSeconds } from "./_cost-model.ts";

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const worker = [process.execPath, here("dist/distributed-worker.js")];
const environment = {
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
};
/** A run of each kind takes its turn so many times; medians count. */
const rounds = 3;

/** Two ranks against two processes, all-reduce against C, and what the cost model makes of it. Six minutes. */
export async function distributedBenchmark(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dmae-bench-"));
  try {
    const { slow } = await reportAllReduce(folder);
    const steps = [await reportSteps("tiny", 128), await reportSteps("vit-b", 8)];
    reportModel(steps, slow);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Step extends Costs {
  readonly name: string;
  readonly together: number;
}

const sizes = [1 << 16, 1 << 22, 1 << 25, 448_000_000];

async function reportAllReduce(folder: string): Promise<{ slow: number }> {
  const program = join(folder, "all-reduce");
  execFileSync(process.env.MPICC ?? "mpicc", ["-O2", "-o", program, here("_all-reduce.c")]);
  const ours: Record<string, number>[] = [];
  const c: Record<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    c.push((await onRanks([program, ...sizes.map(String)])).seconds);
    ours.push((await onRanks([...worker, "all-reduce", ...sizes.map(String)])).seconds);
  }
  console.log("| all-reduce of two ranks | C, GB/s | `world().allReduce`, GB/s | ratio |");
  console.log("|---|---|---|---|");
  let last = 0;
  for (const bytes of sizes) {
    const [a, b] = [c, ours].map((all) => median(all.map((seconds) => seconds[bytes]!)));
    const rate = (seconds: number) => (bytes / seconds / 1e9).toFixed(2);
    console.log(`| ${size(bytes)} | ${rate(a!)} | ${rate(b!)} | ${percent(a! / b!)} |`);
    last = bytes / b!;
  }
  return { slow: last };
}

const size = (bytes: number) =>
  bytes < 1 << 20 ? `${bytes >> 10} KiB` : `${Math.round(bytes / 2 ** 20)} MiB`;

async function reportSteps(name: string, batchSize: number): Promise<Step> {
  const together: number[] = [];
  const apart: number[] = [];
  let bytes = 0;
  for (let round = 0; round < (name === "vit-b" ? 2 : rounds); round++) {
    const pair = await Promise.all([0, 1].map((core) => alone(core, name)));
    apart.push((pair[0]!.seconds + pair[1]!.seconds) / 2);
    bytes = pair[0]!.bytes;
    together.push((await onRanks([...worker, name])).seconds);
  }
  const [a, b] = [median(apart), median(together)];
  console.log(`\n| ${name}, batch ${batchSize} a rank | s/step |`);
  console.log("|---|---|");
  console.log(`| two processes, one core each | ${a.toFixed(3)} |`);
  console.log(`| two ranks, one core each | ${b.toFixed(3)} |`);
  console.log(`| efficiency | ${percent(a / b)} |`);
  return { name, compute: a, bytes, together: b };
}

/** Links of machines: name and bytes per second for each rank. */
const links: readonly (readonly [string, Link])[] = [
  ["1 Gb/s", { bandwidth: 1.25e8, latency: 5e-5 }],
  ["10 Gb/s", { bandwidth: 1.25e9, latency: 3e-5 }],
  ["100 Gb/s", { bandwidth: 1.25e10, latency: 5e-6 }],
  ["400 Gb/s", { bandwidth: 5e10, latency: 3e-6 }],
];

function reportModel(steps: readonly Step[], bytesPerSecond: number): void {
  console.log("\n| two ranks here | predicted, s/step | measured, s/step |");
  console.log("|---|---|---|");
  for (const { name, compute, bytes, together } of steps) {
    // two ranks: each byte passes each link once
    const predicted = compute + ringSeconds(bytes, 2, { bandwidth: bytesPerSecond, latency: 0 });
    console.log(`| ${name} | ${predicted.toFixed(3)} | ${together.toFixed(3)} |`);
  }
  const { bytes } = steps.at(-1)!;
  console.log(
    "\nPredicted efficiency of ViT-B pre-training, 0.5 s of computing for a micro-batch of each card:\n",
  );
  console.log("| link of a card | 8 cards | 64 cards | 64 cards, accumulate 8 |");
  console.log("|---|---|---|---|");
  for (const [name, link] of links) {
    const costs = { compute: 0.5, bytes };
    const shares = [
      efficiency(costs, 8, link),
      efficiency(costs, 64, link),
      efficiency(costs, 64, link, 8),
    ];
    console.log(`| ${name} | ${shares.map(percent).join(" | ")} |`);
  }
}

interface Told {
  readonly bytes: number;
}

const run = promisify(execFile);

async function alone(core: number, name: string): Promise<Told & { seconds: number }> {
  const { stdout } = await run("taskset", ["-c", String(core), ...worker, name], {
    env: environment,
  });
  return JSON.parse(stdout);
}

async function onRanks(command: readonly string[]) {
  const { stdout } = await run("mpirun", ["-n", "2", "--bind-to", "core", ...command], {
    env: environment,
  });
  return JSON.parse(stdout);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

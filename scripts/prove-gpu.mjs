// Proves on whatever card it finds what docs/gpu.md claims, and writes down what it measured.
//
//   node scripts/prove-gpu.mjs                       all stages on cuda and webgpu
//   node scripts/prove-gpu.mjs --providers cuda      one provider
//   node scripts/prove-gpu.mjs --stages doctor,parity,throughput,torch,start,fashion,cifar
//   node scripts/prove-gpu.mjs --minutes 8           in all; a stage takes at most 3 minutes, and the next run goes on with it
//   node scripts/prove-gpu.mjs --dry-run             every stage at toy size, on the CPU unless --providers says otherwise
//   node scripts/prove-gpu.mjs --pack DIR            writes all that a machine without npm or internet needs
//
// --folder DIR (default runs/prove-gpu) keeps results.json; --python PROGRAM has PyTorch; --epochs N for the fashion stage;
// --cifar DIR has CIFAR-10's binary files, for the cifar stage (`dmae-reproduce convert --as binary` makes them of images);
// --precisions a,b and --batches a,b choose rows; --again forgets what was found. Nothing that fails ends the rest.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const stageLimit = 180;
const allStages = ["doctor", "parity", "throughput", "torch", "start", "fashion", "cifar"];

const { values } = parseArgs({
  options: {
    providers: { type: "string" },
    stages: { type: "string" },
    cifar: { type: "string" },
    minutes: { type: "string", default: "8" },
    epochs: { type: "string" },
    precisions: { type: "string", default: "float32,bfloat16,float16" },
    batches: { type: "string" },
    python: { type: "string", default: "python3" },
    folder: { type: "string", default: join(root, "runs/prove-gpu") },
    again: { type: "boolean", default: false },
    "dry-run": { type: "boolean", default: false },
    pack: { type: "string" },
    parts: { type: "string" },
  },
});

const list = (text) => text.split(",").filter(Boolean);
const toy = values["dry-run"];

function settingsOf(provider, precision) {
  const batches = list(values.batches ?? (toy ? "2" : "64,256")).map(Number);
  const known = list(values.precisions);
  // WebGPU has no bfloat16
  const precisions = provider === "webgpu" ? known.filter((name) => name !== "bfloat16") : known;
  return {
    ...{ provider, precision, toy, precisions, batches, seconds: toy ? 0.1 : 3 },
    ...{ python: values.python, device: toy ? "cpu" : "cuda" },
    epochs: Number(values.epochs ?? (toy ? 1 : 2)),
    images: cifar && resolve(cifar),
  };
}

const cifar = values.cifar ?? (existsSync(join(root, "cifar")) ? join(root, "cifar") : undefined); // packed
const hasImages = (stage) => stage !== "cifar" || toy || cifar !== undefined;

/** The stages in the order of their worth: the first say whether the rest can be trusted. */
function plan() {
  const providers = list(values.providers ?? (toy ? "cpu" : "cuda,webgpu"));
  const wanted = values.stages ? list(values.stages) : allStages.filter(hasImages);
  const unknown = wanted.filter((name) => !allStages.includes(name));
  if (unknown.length > 0)
    throw new Error(`--stages: must be among ${allStages.join(", ")}, got ${unknown.join(", ")}`);
  const on = (stage) => providers.map((provider) => ({ stage, provider }));
  const each = { doctor: [{ stage: "doctor" }], torch: [{ stage: "torch" }] };
  const jobs = allStages
    .filter((stage) => wanted.includes(stage))
    .flatMap((stage) => each[stage] ?? on(stage));
  // What takes long on a second provider comes last.
  const isLate = ({ stage, provider }) =>
    ["throughput", "start", "fashion", "cifar"].includes(stage) && provider !== providers[0];
  return [...jobs.filter((job) => !isLate(job)), ...jobs.filter(isLate)].map((job) => ({
    ...job,
    name: [job.stage, job.provider].filter(Boolean).join(" "),
  }));
}

function readResults(file) {
  if (values.again || !existsSync(file)) return { stages: {} };
  return JSON.parse(readFileSync(file, "utf8"));
}

async function main() {
  if (values.pack) {
    const { pack } = await import("./prove-gpu-pack.mjs");
    return pack(resolve(values.pack), {
      only: values.parts && list(values.parts),
      cifar: values.cifar && resolve(values.cifar),
    });
  }
  const folder = resolve(values.folder);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "results.json");
  const results = {
    ...readResults(file),
    machine: machine(),
    date: new Date().toISOString(),
    dryRun: toy,
  };
  const save = () => writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
  const end = Date.now() + Number(values.minutes) * 60_000;
  for (const job of plan()) {
    const left = Math.floor((end - Date.now()) / 1000);
    const before = results.stages[job.name];
    if (before?.status === "done" && job.stage !== "doctor")
      console.log(`== ${job.name}: done before`);
    else if (left < 10) console.log(`== ${job.name}: no time left; run again to go on`);
    else {
      const rows = (before?.rows ?? []).filter(({ error }) => !error);
      results.stages[job.name] = await runStage(job, rows, Math.min(left, stageLimit), folder);
      save();
    }
  }
  save();
  report(results, folder);
}

/** One stage, in a process of its own: what it has found stays, whatever ends it. */
async function runStage({ name, stage, provider }, rows, seconds, folder) {
  console.log(`== ${name} (at most ${seconds} s)`);
  if (stage === "doctor") return doctor();
  const settings = {
    ...settingsOf(
      provider,
      values.precisions.includes("bfloat16") && provider === "cuda" ? "bfloat16" : "float32",
    ),
    stage,
    folder: join(folder, provider ?? ""),
  };
  const program = join(root, "benchmarks/prove-gpu/run-stage.mjs");
  const child = spawn(
    process.execPath,
    [program, JSON.stringify({ ...settings, done: rows.map((row) => row.name) })],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        NVIDIA_TF32_OVERRIDE: stage === "parity" ? "0" : "1",
        ...(toy && { DMAE_DEVICE_STATE: "cpu" }), // the CPU provider stands in for a card
      },
    },
  );
  const found = [...rows];
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint = (complaint + text).slice(-4000);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("row:")) return;
    found.push(JSON.parse(line.slice(4)));
    console.log(`   ${line.slice(4)}`);
  });
  const timers = [
    setTimeout(() => child.kill("SIGTERM"), seconds * 1000),
    setTimeout(() => child.kill("SIGKILL"), (seconds + 8) * 1000),
  ];
  const ended = await new Promise((done) =>
    child.on("close", (code, signal) => done({ code, signal })),
  );
  for (const timer of timers) clearTimeout(timer);
  const failed = found.filter(({ error }) => error).length;
  const outcome = failed > 0 ? `${failed} rows failed` : "done";
  const isLate = ended.signal || ended.code === 75;
  const status = ended.code === 0 ? outcome : isLate ? "time is over" : "failed";
  const lines = complaint.trim().split("\n");
  const last = (lines.find((line) => /Error\b/.test(line)) ?? lines.at(-1)).slice(0, 600);
  if (status !== "done") console.log(`   ${status}${isLate ? "" : `: ${last}`}`);
  return { status, rows: found, ...(status !== "done" && !isLate && { complaint: last }) };
}

/** Where the CUDA provider lies beside the pack, it is linked to the CUDA libraries of the machine's PyTorch first. */
function doctor() {
  const cli = [
    join(root, "node_modules/@dmae/native/dist/cli.js"),
    join(root, "packages/native/dist/cli.js"),
  ].find((path) => existsSync(path));
  const providers = join(root, "cuda");
  const project = existsSync(join(root, "node_modules/onnxruntime-node"))
    ? root
    : join(root, "benchmarks");
  const run = (...parameters) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [cli, ...parameters, "--project", project],
      { encoding: "utf8", timeout: 170_000 },
    );
    console.log(`${stdout}${stderr}`.replace(/^/gm, "   ").trimEnd());
    return {
      name: parameters.join(" "),
      ok: status === 0,
      output: `${stdout}${stderr}`.slice(0, 4000),
    };
  };
  const rows = [];
  if (!toy && existsSync(join(providers, "libonnxruntime_providers_cuda.so")))
    rows.push(
      run("link", "onnxruntime", "--gpu", "--providers", providers, "--python", values.python),
    );
  rows.push(run("doctor"));
  return { status: "done", rows };
}

function machine() {
  const ask = (program, ...parameters) => {
    const { status, stdout } = spawnSync(program, parameters, { encoding: "utf8" });
    return status === 0 ? stdout.trim() : null;
  };
  return {
    card: ask(
      "nvidia-smi",
      "--query-gpu=name,driver_version,memory.total",
      "--format=csv,noheader",
    ),
    torch: ask(values.python, "-c", "import torch; print(torch.__version__, torch.version.cuda)"),
    node: process.version,
    cpu: readFileSync("/proc/cpuinfo", "utf8").match(/model name\s*: (.*)/)?.[1] ?? "unknown",
  };
}

/** A dated block for docs/gpu.md, appended where that file is, else printed beside the results. */
function report({ machine: found, date, stages, dryRun }, folder) {
  const lines = [
    `### ${dryRun ? "Dry run" : (found.card ?? "No card")}, ${date.slice(0, 16).replace("T", " ")} UTC`,
    "",
  ];
  lines.push(
    `\`node scripts/prove-gpu.mjs ${process.argv.slice(2).join(" ")}\`: Node ${found.node}, PyTorch ${found.torch ?? "none"}, ${found.cpu}.`,
    "",
  );
  lines.push("| stage | row | result |", "|---|---|---|");
  for (const [stage, { status, rows, complaint }] of Object.entries(stages)) {
    for (const { name, output, ...rest } of rows)
      lines.push(`| ${stage} | ${name} | ${cell(rest)} |`);
    if (status !== "done")
      lines.push(`| ${stage} | | ${status}${complaint ? `: ${cell({ complaint })}` : ""} |`);
  }
  const text = `${lines.join("\n")}\n`;
  writeFileSync(join(folder, "report.md"), text);
  const page = join(root, "docs/gpu.md");
  if (!dryRun && existsSync(page))
    writeFileSync(page, `${readFileSync(page, "utf8").trimEnd()}\n\n${text}`);
  console.log(
    `\nwritten: ${join(folder, "results.json")}, ${join(folder, "report.md")}${!dryRun && existsSync(page) ? ", docs/gpu.md" : ""}`,
  );
}

const cell = (rest) =>
  Object.entries(rest)
    .map(
      ([name, value]) =>
        `${name} ${typeof value === "number" ? Number(value.toPrecision(4)) : value}`,
    )
    .join(", ")
    .replaceAll("|", "/")
    .replaceAll("\n", " ");

try {
  await main();
} catch (error) {
  console.error(`prove-gpu: ${error.message}`);
  process.exitCode = 1;
}

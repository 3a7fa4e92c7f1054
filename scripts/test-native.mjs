// The native lane: puts TensorFlow.js on TensorFlow in a temporary folder, everything from the registries, and runs on it
// what the fast lane runs on cpu and wasm. Downloads 230 MB (npm packages aside), needs Linux and g++; minutes.
//
//   pnpm test:native                              TensorFlow 2.18.1, CPU
//   pnpm test:native --tensorflow 2.21.0          another release
//   pnpm test:native --gpu                        the CUDA build: 2.4 GB
//   pnpm test:native --quick                      without the quickstart, which trains for minutes
//   pnpm test:native --keep DIR                   works in DIR and leaves it, so that a second run downloads nothing
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    tensorflow: { type: "string" },
    gpu: { type: "boolean" },
    keep: { type: "string" },
    quick: { type: "boolean" },
  },
});
const release = values.tensorflow ?? "2.18.1";
const repository = fileURLToPath(new URL("..", import.meta.url));
const project = values.keep ? resolve(values.keep) : mkdtempSync(join(tmpdir(), "dmae-native-"));
mkdirSync(project, { recursive: true });
const cli = join(repository, "packages/native/dist/cli.js");
const quickstart = join(repository, "examples/quickstart/src/main.ts");
const quiet = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2", NODE_NO_WARNINGS: "1" };
const onNative = {
  ...quiet,
  NVIDIA_TF32_OVERRIDE: "0", // the tests' tolerances are those of float32
  DMAE_NATIVE_PROJECT: project,
  DMAE_NATIVE_TENSORFLOW: release,
};

function run(name, program, parameters, { cwd = project, env = quiet, status = 0 } = {}) {
  console.log(`\n== ${name}: ${[program, ...parameters].join(" ")}`);
  const started = Date.now();
  const result = spawnSync(program, parameters, { cwd, env, stdio: "inherit" });
  if (result.status !== status)
    throw new Error(`${name} ended with ${result.status ?? result.signal}`);
  console.log(`== ${name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

const native = (command, more = [], status = 0) =>
  run(command, process.execPath, [cli, ...command.split(" "), ...more, "--project", project], {
    status,
  });

function main() {
  if (!existsSync(join(project, "package.json")))
    writeFileSync(join(project, "package.json"), '{ "private": true }\n');
  const needed = ["--filter=@dmae/native", "--filter=@dmae/nn..."];
  if (!values.quick && existsSync(quickstart)) needed.push("--filter=@dmae/example-quickstart...");
  run("build", "npx", ["turbo", "run", "build", ...needed, "--output-logs=errors-only"], {
    cwd: repository,
  });
  run("install", "npm", [
    ..."install --ignore-scripts --no-audit --no-fund --loglevel=error".split(" "),
    "@tensorflow/tfjs-node@4.22.0",
  ]);
  const link = ["--cache", join(project, "cache"), "--tensorflow", release];
  if (values.gpu) link.push("--gpu");
  native("link tensorflow", link);
  native("link tensorflow", link); // the second time changes nothing
  // Without a card the CUDA build works on the CPU, and the doctor says that the driver is missing.
  native("doctor", [], values.gpu && !hasDriver() ? 1 : 0);
  run("tests", "npx", ["vitest", "run", "--config", "vitest.native.config.ts"], {
    cwd: repository,
    env: onNative,
  });
  if (values.gpu && !hasDriver()) checkCudaLibraries();
  if (!values.quick) runQuickstart();
  native("unlink tensorflow");
  native("doctor", [], 1);
}

function runQuickstart() {
  if (!existsSync(quickstart)) return console.log("\n== quickstart: there is none yet");
  const hook = pathToFileURL(join(repository, "testing/native/resolve.mjs")).href;
  run(
    "quickstart",
    "npx",
    [
      ..."pnpm --silent --filter @dmae/example-quickstart start --backend tfjs-node".split(" "),
      ..."--images 4 --n 100 --folder".split(" "),
      join(project, "quickstart"),
    ],
    { cwd: repository, env: { ...onNative, NODE_OPTIONS: `--import ${hook}` } },
  );
}

/** TensorFlow, told by a stand-in driver that there is a card, must open each CUDA library out of the wheels fetched. */
function checkCudaLibraries() {
  const source = join(repository, "testing/native/fake-driver.c");
  const driver = join(project, "libcuda.so.1");
  run("stand-in driver", "gcc", [
    ...["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", driver, source],
  ]);
  const addon = join(project, "node_modules/@tensorflow/tfjs-node/lib/napi-v8/tfjs_binding.node");
  const { stderr } = spawnSync(
    process.execPath,
    ["-e", "process.dlopen({ exports: {} }, process.argv[1])", addon],
    { env: { ...quiet, LD_LIBRARY_PATH: project, LD_DEBUG: "libs" }, maxBuffer: 1 << 28 },
  );
  const opened = new Set(
    [...String(stderr).matchAll(/calling init: (\S+\/nvidia\/\S+)/g)].map(([, path]) => path),
  );
  for (const path of opened) console.log(`TensorFlow opened ${path}`);
  const wanted = ["cudart", "cublas", "cublasLt", "cufft", "cusolver", "cusparse", "cudnn"];
  const missing = wanted.filter(
    (name) => ![...opened].some((path) => path.includes(`lib${name}.so`)),
  );
  if (missing.length > 0) throw new Error(`TensorFlow did not open ${missing.join(", ")}`);
}

function hasDriver() {
  return spawnSync("nvidia-smi", ["-L"]).status === 0;
}

try {
  main();
  console.log("\nnative lane: passed");
} catch (error) {
  console.error(`\nnative lane: failed, ${error.message}`);
  process.exitCode = 1;
} finally {
  if (!values.keep) rmSync(project, { recursive: true, force: true });
}

import "@tensorflow/tfjs-backend-cpu";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import { findCCompiler } from "../../packages/compile/src/kernels/c-compiler.ts";
import { buildForCard, openCuda } from "../../packages/compile/src/kernels/cuda-library.ts";
import { deviceSource, fusedForCard, runWith } from "../../packages/compile/src/testing/on-shim.ts";
import { temporaryFolders } from "../temporary-folder.ts";
import { trainingSteps } from "./training-steps.ts";

// Real NVRTC, which needs no card: DMAE_NVRTC names a libnvrtc.so.13, or the folder that holds one; else it is fetched (90 MB).

const wheel = "nvidia-cuda-nvrtc==13.0.88";
const folder = temporaryFolders("nvrtc");

function findNvrtc(): string | undefined {
  const find = (place: string) =>
    readdirSync(place, { recursive: true, encoding: "utf8" })
      .filter((file) => /(^|\/)libnvrtc\.so\.\d+$/.test(file))
      .map((file) => join(place, file))[0];
  const given = process.env.DMAE_NVRTC;
  if (given) return /libnvrtc\.so/.test(given) ? given : find(given);
  const target = folder();
  const install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel];
  try {
    execFileSync("python3", install, { stdio: "pipe", timeout: 300_000 });
    return find(target);
  } catch {
    console.warn(`skipped: no NVRTC; set DMAE_NVRTC, or let pip install ${wheel}`);
    return undefined;
  }
}

const compiler = await findCCompiler();
const nvrtc = compiler ? findNvrtc() : undefined;
const architectures = ["sm_75", "sm_80", "sm_90"];

beforeAll(() => tf.setBackend("cpu"));

it.skipIf(!nvrtc)("NVRTC compiles every kernel of training steps", async () => {
  const cuda = await openCuda(compiler!);
  expect(cuda.version(nvrtc!)).toMatch(/^1[23]\.\d+$/);
  for (const [name, make] of Object.entries(trainingSteps))
    for (const precision of ["float32", "bfloat16", "float16"] as const) {
      const { fn, inputs } = make();
      const fused = fusedForCard(fn, inputs, precision);
      const source = await deviceSource(fused);
      for (const architecture of architectures) {
        const image = cuda.compile(nvrtc!, source, architecture);
        expect(Buffer.from(image.subarray(0, 4)).toString("latin1"), name).toBe("\x7fELF");
        expect(Buffer.from(image).includes("Fused0"), name).toBe(true);
      }
    }
});

it.skipIf(!nvrtc)("operators carry the code of a card, and are kept", async () => {
  process.env.DMAE_CACHE = folder();
  const cuda = await openCuda(compiler!);
  const { fn, inputs } = trainingSteps["LeNet with SGD"]();
  const fused = fusedForCard(fn, inputs);
  const library = { path: nvrtc!, version: cuda.version(nvrtc!) };
  const target = { architecture: "sm_90", nvrtc: library };
  const path = await buildForCard(compiler!, fused.library, target);
  const nowhere = { ...target, nvrtc: { ...library, path: "/no/libnvrtc.so" } };
  expect(await buildForCard(compiler!, fused.library, nowhere)).toBe(path);
  // ONNX Runtime takes them for its CUDA provider only.
  await expect(runWith(path, fused, fused.outputNames, inputs)).rejects.toThrow(
    /Failed to find kernel for dmae\.kernels\.Fused\d+|Could not find an implementation for Fused/,
  );
});

it.skipIf(!nvrtc)("what NVRTC refuses is an error with its words", async () => {
  const cuda = await openCuda(compiler!);
  expect(() => cuda.compile(nvrtc!, "__global__ void f() { nothing(); }", "sm_90")).toThrow(
    /NVRTC_ERROR_COMPILATION: .*identifier "nothing" is undefined/s,
  );
  expect(() => cuda.compile(nvrtc!, "", "sm_1")).toThrow(/gpu-architecture/);
  expect(() => cuda.version("/no/libnvrtc.so.13")).toThrow(/\/no\/libnvrtc\.so\.13/);
});

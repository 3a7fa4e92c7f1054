import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostTensor } from "@dmae/core";
import { eagerExecutor, type Tensors } from "@dmae/nn";
import { expectClose } from "../../../../testing/expect-close.ts";
import { findCCompiler, nativeSource } from "../kernels/c-compiler.ts";
import { type FusedProgram, forCard, fuse } from "../kernels/fuse.ts";
import { createNativeSession, openAddon } from "../kernels/native-session.ts";
import { encodeModel } from "../onnx/onnx-model.ts";
import { finish, type PrecisionOptions, preferred } from "../runtime/program.ts";
import { loadRuntime } from "../runtime/runtime.ts";
import { trace } from "../tracing/trace.ts";

type Inputs = Readonly<Record<string, HostTensor>>;
type Fn = (inputs: Tensors) => Tensors;

/** What a card gets of a function: its program with CUDA kernels. */
export function fusedForCard(
  fn: Fn,
  inputs: Inputs,
  precision: PrecisionOptions["precision"] = "float32",
): FusedProgram & { readonly outputNames: readonly string[] } {
  const traced = trace("fusedForCard", fn, inputs);
  const program = finish("fusedForCard", traced, { precision }, preferred("cuda", true));
  return { ...fuse(program, forCard), outputNames: traced.outputNames };
}

/** The CUDA file of a program. */
export const deviceSource = async ({ library }: FusedProgram): Promise<string> =>
  library.deviceSource(await nativeSource("kernels.cuh"));

/** Compiles CUDA kernels for the CPU (cuda-shim.h), and the operators that run them, into `folder`; the path of the operators. */
async function buildOnShim(fused: FusedProgram, folder: string): Promise<string> {
  const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
  const name = join(folder, String(builds++));
  const library = `${name}.so`;
  const compile = (
    program: string,
    file: string,
    source: string,
    output: string,
    flags: string[],
  ) => {
    writeFileSync(file, source);
    const common = ["-O1", "-shared", "-fPIC", "-w", `-I${path("../../native")}`];
    execFileSync(program, [...common, ...flags, "-o", output, file, "-ldl"], { stdio: "pipe" });
  };
  const source = await deviceSource(fused);
  const device = `#include "${path("cuda-shim.h")}"\n${source}\nSHIM_CALL\n`;
  compile("g++", `${name}.cpp`, device, library, ["-std=c++17"]);
  const header = [
    `#define CUDA_DRIVER "${library}"`,
    `#define CUDA_IMAGE "${library}"`,
    "#define OPERATOR_PROVIDER NULL",
    '#include "cuda-kernels.h"',
  ].join("\n");
  compile("cc", `${name}.c`, fused.library.source(header), `${name}.node`, []);
  return `${name}.node`;
}

let builds = 0;

/** Runs a program with CUDA kernels, whose operators are otherwise ONNX Runtime's for the CPU. */
export const runOnShim = async (
  fused: FusedProgram,
  outputNames: readonly string[],
  inputs: Inputs,
  folder: string,
) => runWith(await buildOnShim(fused, folder), fused, outputNames, inputs);

/** Runs a program on the CPU with the operators at `path`. */
export async function runWith(
  path: string,
  { program }: FusedProgram,
  outputNames: readonly string[],
  inputs: Inputs,
): Promise<Record<string, Float32Array>> {
  const runtime = await loadRuntime("runOnShim", {});
  const named = outputNames.map((name) => `out:${name}`);
  const { bytes } = encodeModel({ ...program, outputNames: named });
  const session = createNativeSession(runtime, {
    addon: await openAddon((await findCCompiler())!),
    path,
    model: bytes,
    external: [],
    inputs: new Map(program.graph.inputs.map((input) => [input.name!, input])),
    outputs: new Map(program.outputs.map((output, i) => [named[i]!, output])),
    threads: 1,
  });
  const feeds = Object.entries(inputs).map(([name, { dtype, data, shape }]) => [
    name,
    new runtime.Tensor(dtype, data, shape),
  ]);
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  const data = (name: string) => results[`out:${name}`]!.data as Float32Array;
  return Object.fromEntries(outputNames.map((name) => [name, data(name)]));
}

/** Expects of a function's CUDA kernels what the eager backend makes of it; returns how many there are. */
export async function expectEagerOnShim(
  fn: Fn,
  inputs: Inputs,
  { folder, tolerance = 1e-5 }: { readonly folder: string; readonly tolerance?: number },
): Promise<number> {
  const fused = fusedForCard(fn, inputs);
  const found = await runOnShim(fused, fused.outputNames, inputs, folder);
  const eager = await eagerExecutor().prepareFunction({ fn, specs: inputs });
  for (const [name, { data }] of Object.entries((await eager(inputs)) as Inputs))
    expectClose(found[name]!, data, { relative: tolerance, absolute: tolerance });
  return fused.count;
}

import { DmaeError } from "@dmae/core";
import { builtin, reportOnce } from "@dmae/core/native";
import { deviceFor } from "../device/device.ts";
import { roundingOperator } from "../graph/halve-precision.ts";
import type { Program } from "../graph/optimize.ts";
import { separateSums } from "../graph/tune-for-cpu.ts";
import { cudaFix, fromFailure } from "../runtime/cuda-fix.ts";
import {
  isNodeCpu,
  loadRuntime,
  providerOf,
  type RuntimeOptions,
  threadsOf,
} from "../runtime/runtime.ts";
import { type CCompiler, findCCompiler } from "./c-compiler.ts";
import { channelPadding } from "./convolution.ts";
import { buildForCard } from "./cuda-library.ts";
import { type FusedProgram, forCard, forCpu, fuse } from "./fuse.ts";
import { type Addon, openAddon } from "./native-session.ts";

/** Numbers that a step's kernels must write before they are worth a compiler's second (1 million: about 1 ms). */
const MIN_NUMBERS = 1 << 20;

/** Work that ONNX Runtime may add to convolutions of a function, as a multiple, before kernels pay: LeNet has 2, ResNets 1. */
const MOST_PADDING = 1.3;

type Options = RuntimeOptions & { readonly precision?: string | undefined };

/** A program with generated operators, and what a session of it needs. */
export interface GeneratedKernels {
  readonly fused: FusedProgram;
  readonly addon: Addon;
  /** The path of the compiled operators. */
  readonly path: string;
}

/**
 * Joins what kernels can compute and compiles them; `program` leaves whole what they compute (`forKernels`). Null where they are
 * not wanted, not possible or not worth it; an error only where they were asked for.
 */
export async function generateKernels(
  caller: string,
  program: () => Program,
  options: Options,
  isStep: boolean,
  findCompiler: () => Promise<CCompiler | null> = findCCompiler,
): Promise<GeneratedKernels | null> {
  const { kernels = "auto" } = options;
  if (!["auto", "generated", "standard"].includes(kernels))
    throw new DmaeError(
      "argument",
      `${caller}: kernels must be auto, generated or standard, got ${kernels}`,
    );
  const demanded = kernels === "generated";
  const wanted = demanded || (kernels === "auto" && (isStep || paysInFunctions(program, options)));
  if (!wanted) return null;
  try {
    const found = await placeFor(caller, options, findCompiler);
    if (found) return await generate(caller, program(), options, found, demanded);
    if (!demanded) return null;
  } catch (error) {
    if (demanded) throw error;
    reportOnce(`${caller}: ${withoutKernels(error)}`);
    return null;
  }
  throw new DmaeError(
    "unsupported",
    `${caller}: kernels: "generated" needs a Linux machine with onnxruntime-node, provider cpu or cuda and a C compiler (cc, or the one that CC names)`,
  );
}

/** What to report where kernels failed that may be left out. */
export function withoutKernels(error: unknown): string {
  const { message } = error as Error;
  return `working without generated kernels: ${fromFailure(message).split("\n", 1)[0]}`;
}

/** Where kernels will run, and the compiler that they or their operators need. */
interface Place {
  readonly compiler: CCompiler;
  readonly onCard: boolean;
}

/** The CPU, or the card if state and inputs can lie there; null where kernels cannot run. */
async function placeFor(
  caller: string,
  options: Options,
  findCompiler: () => Promise<CCompiler | null>,
): Promise<Place | null> {
  const onCard = providerOf(options) === "cuda" && options.onnxruntime === undefined;
  const compiler = onCard || isNodeCpu(options) ? await findCompiler() : null;
  if (!compiler || !onCard) return compiler && { compiler, onCard };
  const { device, reason } = await deviceFor(caller, options);
  if (device) return { compiler, onCard };
  if (options.kernels !== "generated") return null; // which the session reports
  throw new DmaeError(
    "unsupported",
    `${caller}: kernels: "generated" on provider cuda needs the card's memory${reason ? ` (${reason}); ${cudaFix(reason)}` : "; unset DMAE_DEVICE_STATE"}`,
  );
}

/**
 * True where ONNX Runtime would spend its time on padding: it computes float32 convolutions in blocks of 16 channels, and kernels
 * read as many channels as there are. On a card always: there is no cast then between a product and what follows.
 */
function paysInFunctions(program: () => Program, options: Options) {
  const { precision = "float32" } = options;
  if (providerOf(options) === "cuda") return precision !== "int8";
  return precision === "float32" && isNodeCpu(options) && channelPadding(program()) > MOST_PADDING;
}

async function generate(
  caller: string,
  program: Program,
  options: RuntimeOptions,
  { compiler, onCard }: Place,
  demanded: boolean,
): Promise<GeneratedKernels | null> {
  const fused = onCard
    ? fuse(program, forCard)
    : fuse(separateSums(program), forCpu(threadsOf(options)));
  if (fused.count === 0 || (!demanded && fused.written < MIN_NUMBERS)) return null;
  await loadRuntime(caller, options);
  if (!onCard) await reportSlowBfloat16(caller, program);
  const { library } = fused;
  const [addon, path] = await Promise.all([
    openAddon(compiler),
    onCard ? buildForCard(compiler, library) : compiler.build("kernels", library.source()),
  ]);
  return { fused, addon, path };
}

/** Says once that products are slower than they could be. */
async function reportSlowBfloat16(caller: string, { graph }: Program): Promise<void> {
  if (!graph.nodes.some(({ op }) => op === roundingOperator("bfloat16"))) return;
  const fs = builtin<typeof import("node:fs")>("node:fs")!;
  const report = bfloat16Report(await fs.promises.readFile("/proc/cpuinfo", "utf8"));
  if (report) reportOnce(`${caller}: ${report}`);
}

/** What multiplies bfloat16 numbers on a processor of /proc/cpuinfo; null where it is the best that it has. */
export function bfloat16Report(processor: string): string | null {
  if (!processor.includes("avx512_bf16"))
    return "products of bfloat16 numbers run in float32: this processor has no AVX512-BF16";
  if (!processor.includes("amx_bf16")) return null;
  return "products of bfloat16 numbers use AVX512-BF16; the AMX unit of this processor is not used";
}

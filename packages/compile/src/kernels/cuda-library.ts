import { DmaeError } from "@dmae/core";
import { builtin, keepLibrary } from "@dmae/core/native";
import { type CCompiler, nativeSource } from "./c-compiler.ts";
import type { KernelLibrary } from "./library.ts";
import { requireAddon, runtimeLibrary } from "./native-session.ts";

/** What `cuda.c` exports. */
export interface CudaAddon {
  architecture(): string;
  version(nvrtc: string): string;
  compile(nvrtc: string, source: string, architecture: string): Uint8Array;
}

let opened: Promise<CudaAddon> | undefined;

/** Builds and loads the addon, once. */
export function openCuda(compiler: CCompiler): Promise<CudaAddon> {
  opened ??= requireAddon<CudaAddon>(compiler, "cuda");
  return opened;
}

/** Where `link onnxruntime --gpu` puts NVRTC, and names by which the system may know it. */
const NVRTC = ["libnvrtc.so.13", "libnvrtc.so.12"];

/** NVRTC beside the library of onnxruntime-node, where it is there; its own parts lie beside the file that a link leads to. */
async function findNvrtc(): Promise<readonly string[]> {
  const { realpath } = builtin<typeof import("node:fs/promises")>("node:fs/promises")!;
  const { dirname, join } = builtin<typeof import("node:path")>("node:path")!;
  const folder = dirname(await runtimeLibrary());
  const linked = await Promise.all(
    NVRTC.map((name) => realpath(join(folder, name)).catch(() => "")),
  );
  return [...linked.filter(Boolean), ...NVRTC];
}

/** The compiler library and its version. */
async function nvrtcOf(cuda: CudaAddon): Promise<{ path: string; version: string }> {
  let reason: unknown;
  for (const path of await findNvrtc())
    try {
      return { path, version: cuda.version(path) };
    } catch (error) {
      reason ??= error;
    }
  throw new DmaeError(
    "unsupported",
    `kernels: CUDA kernels need NVIDIA's compiler library (${NVRTC.join(" or ")}), found none; run npx @dmae/native link onnxruntime --gpu`,
    {},
    { cause: reason },
  );
}

/** What kernels are compiled for, and with which library. */
export interface CudaTarget {
  readonly architecture: string;
  readonly nvrtc: { readonly path: string; readonly version: string };
}

async function findTarget(cuda: CudaAddon): Promise<CudaTarget> {
  const doctor = "run npx @dmae/native doctor to see what is missing";
  const architecture = explained(doctor, () => cuda.architecture());
  return { architecture, nvrtc: await nvrtcOf(cuda) };
}

/** The addon's errors as those of this package. */
function explained<T>(fix: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const reason = (error as Error).message.trim();
    throw new DmaeError("unsupported", `kernels: ${reason}; ${fix}`, {}, { cause: error });
  }
}

/**
 * Compiles the CUDA kernels of a library for this machine's card, and the operators that launch them; both are kept as the C
 * kernels are.
 *
 * @returns the path of the operators
 */
export async function buildForCard(
  compiler: CCompiler,
  library: KernelLibrary,
  given?: CudaTarget,
): Promise<string> {
  const cuda = await openCuda(compiler);
  const target = given ?? (await findTarget(cuda));
  const source = library.deviceSource(await nativeSource("kernels.cuh"));
  return compiler.build("kernels", library.source(headerOf(await cubin(cuda, source, target))));
}

/** The machine code of a CUDA file: what is kept of it, else what NVRTC makes. */
async function cubin(
  cuda: CudaAddon,
  source: string,
  { architecture, nvrtc }: CudaTarget,
): Promise<Uint8Array> {
  const { createHash } = builtin<typeof import("node:crypto")>("node:crypto")!;
  const { readFile } = builtin<typeof import("node:fs/promises")>("node:fs/promises")!;
  const identity = [nvrtc.version, architecture, source].join("\n");
  const hash = createHash("sha256").update(identity).digest("hex").slice(0, 24);
  const file = await keepLibrary(`cuda-${hash}.node`, async () =>
    explained('pass kernels: "standard" to do without', () =>
      cuda.compile(nvrtc.path, source, architecture),
    ),
  );
  return readFile(file);
}

/** The beginning of a C file that holds machine code of a card. */
function headerOf(image: Uint8Array): string {
  const lines = [];
  for (let at = 0; at < image.length; at += 64)
    lines.push(
      `"${[...image.subarray(at, at + 64)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")}"`,
    );
  return [
    `static const char CUDA_IMAGE[] __attribute__((aligned(64))) =\n${lines.join("\n")};`,
    '#include "cuda-kernels.h"',
  ].join("\n");
}

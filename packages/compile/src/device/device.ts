import { DmaeError } from "@dmae/core";
import { nodeProcess } from "@dmae/core/native";
import { Graph } from "../graph/graph.ts";
import { findCCompiler } from "../kernels/c-compiler.ts";
import { type Addon, openAddon, openNativeSession, type Place } from "../kernels/native-session.ts";
import { encodeModel } from "../onnx/onnx-model.ts";
import { fromFailure } from "../runtime/cuda-fix.ts";
import { loadRuntime, providerOf, type RuntimeOptions } from "../runtime/runtime.ts";
import { type Recording, recordingOf } from "./recording.ts";

/** Memory of a device. */
export type Block = object;

/** A device whose memory keeps state, inputs and outputs between runs. */
export interface Device extends Recording {
  readonly addon: Addon;
  /** Options of the CUDA provider for sessions on it; none on the CPU, which stands in for a card in tests. */
  readonly cuda: Readonly<Record<string, string>> | undefined;
  /** Memory of the device; `free` it. */
  allocate(bytes: number): Block;
  free(block: Block): void;
  /** Host memory from which copies are fastest: pinned, where the system gives it. */
  staging(bytes: number): ArrayBuffer;
  copy(from: Place, to: Place, bytes: number): Promise<void>;
}

/** Names of memories in ONNX Runtime. */
const MEMORIES = {
  cuda: { device: "Cuda", staging: "CudaPinned" },
  cpu: { device: "Cpu", staging: "Cpu" },
};

/**
 * Options of every session on the card. By default an arena grows to the next power of two, which may reserve twice of what a
 * program needs (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html).
 */
const CUDA = { device_id: "0", arena_extend_strategy: "kSameAsRequested" };

/** A device, or why there is none though one was wanted. */
export interface FoundDevice {
  readonly device?: Device;
  readonly reason?: string;
  /** The reason, where ONNX Runtime gave it. */
  readonly refusal?: string;
}

const opened = new Map<string, Promise<Device>>();

/**
 * The device that programs of these options keep their data on: the card, where the provider is cuda. With
 * `DMAE_DEVICE_STATE=off` there is none; with `cpu` the CPU provider stands in for a card.
 */
export async function deviceFor(caller: string, options: RuntimeOptions): Promise<FoundDevice> {
  const provider = providerOf(options);
  const setting = nodeProcess?.env?.DMAE_DEVICE_STATE;
  const wanted =
    options.onnxruntime === undefined &&
    (provider === "cuda" ? setting !== "off" : provider === "cpu" && setting === "cpu");
  if (!wanted) return {};
  const kind = provider as keyof typeof MEMORIES;
  const found = opened.get(kind) ?? openDevice(caller, kind, options);
  opened.set(kind, found);
  try {
    return { device: await found };
  } catch (error) {
    opened.delete(kind);
    const reason = fromFailure((error as Error).message).trim();
    return DmaeError.isInstance(error) ? { reason } : { reason, refusal: reason };
  }
}

async function openDevice(
  caller: string,
  kind: keyof typeof MEMORIES,
  options: RuntimeOptions,
): Promise<Device> {
  const compiler = await findCCompiler();
  if (!compiler) throw new DmaeError("unsupported", "it takes Linux and a C compiler");
  await loadRuntime(caller, options);
  const addon = await openAddon(compiler);
  const cuda = kind === "cuda" ? CUDA : undefined;
  const session = copySession(addon, cuda);
  const names = MEMORIES[kind];
  const recording = recordingOf();
  return {
    ...recording,
    addon,
    cuda,
    allocate: (bytes) => addon.allocate(session, names.device, 0, bytes),
    free: (block) => addon.free(block),
    staging(bytes) {
      try {
        return addon.hostMemory(session, names.staging, 0, bytes) ?? new ArrayBuffer(bytes);
      } catch {
        return new ArrayBuffer(bytes);
      }
    },
    copy: (from, to, bytes) => recording.beside(async () => addon.copy(session, from, to, bytes)),
  };
}

/** A session that hands on bytes: ONNX Runtime copies what lies on the other side. */
function copySession(addon: Addon, cuda: Device["cuda"]): object {
  const graph = new Graph();
  const x = graph.input("x", "uint8", [1]);
  const outputs = [graph.add("Identity", [x])];
  const dimensionName = () => "bytes";
  const { bytes } = encodeModel({ graph, outputs, outputNames: ["y"], dimensionName });
  const port = { dtype: "uint8", shape: [1] } as const;
  return openNativeSession({
    addon,
    path: "",
    model: bytes,
    external: [],
    inputs: new Map([["x", port]]),
    outputs: new Map([["y", port]]),
    threads: 1,
    cuda,
    level: "disabled",
  });
}

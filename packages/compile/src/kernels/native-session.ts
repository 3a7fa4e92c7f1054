import { DmaeError } from "@dmae/core";
import { builtin } from "@dmae/core/native";
import { allocate, type OutputSpec, sizeOf } from "../graph/graph.ts";
import { onnxType } from "../graph/tensors.ts";
import type { ExternalData } from "../onnx/onnx-model.ts";
import {
  type LoadedRuntime,
  nativeSettings,
  profilePrefix,
  type RuntimeSession,
  type RuntimeTensor,
} from "../runtime/runtime.ts";
import { type CCompiler, nativeSource } from "./c-compiler.ts";

/** What `session.c` exports. */
export interface Addon {
  open(library: string): void;
  create(
    model: Uint8Array,
    inputs: readonly Port[],
    outputs: readonly Port[],
    settings: readonly string[],
    external: readonly (string | Uint8Array)[],
    threads: number,
    operators: string,
    profile: string,
    cuda: readonly string[] | null,
    level: number,
  ): object;
  run(session: object, inputs: readonly unknown[], outputs: readonly unknown[]): Promise<void>;
  release(session: object): void;
  allocate(session: object, memory: string, device: number, bytes: number): object;
  hostMemory(session: object, memory: string, device: number, bytes: number): ArrayBuffer;
  free(block: object): void;
  copy(session: object, from: Place, to: Place, bytes: number): Promise<void>;
  bind(session: object, inputs: readonly Place[], outputs: readonly Place[]): object;
  runBound(session: object, binding: object, graph: string): Promise<void>;
  largeBlocksApart(yes: boolean): void;
}

/** Memory that a session reads or writes: a typed array, or so many bytes into a block of a device. */
export type Place = ArrayBufferView | readonly [block: object, offset: number];

type Port = readonly [name: string, type: number, ...shape: number[]];

/** What {@link openNativeSession} needs. */
export interface NativeSessionSource {
  readonly addon: Addon;
  /** The path of the compiled operators; "" for none. */
  readonly path: string;
  readonly model: Uint8Array;
  readonly external: readonly ExternalData[];
  readonly inputs: ReadonlyMap<string, OutputSpec>;
  readonly outputs: ReadonlyMap<string, OutputSpec>;
  readonly threads: number;
  /** Options of the CUDA provider; without them the CPU computes. */
  readonly cuda?: Readonly<Record<string, string>> | undefined;
  /** How much ONNX Runtime rewrites the graph. */
  readonly level?: "all" | "disabled";
}

let opened: Promise<Addon> | undefined;

/** Builds and loads the addon, on the library that onnxruntime-node has loaded into this process. */
export function openAddon(compiler: CCompiler): Promise<Addon> {
  opened ??= load(compiler);
  return opened;
}

async function load(compiler: CCompiler): Promise<Addon> {
  const addon = await requireAddon<Addon>(compiler, "session");
  addon.open(await runtimeLibrary());
  return addon;
}

/** Builds and loads an addon of `native`. */
export async function requireAddon<T>(compiler: CCompiler, name: string): Promise<T> {
  const { createRequire } = builtin<typeof import("node:module")>("node:module")!;
  return createRequire(import.meta.url)(
    await compiler.build(name, await nativeSource(`${name}.c`)),
  );
}

/** The path of the library that onnxruntime-node has loaded into this process. */
export async function runtimeLibrary(): Promise<string> {
  const { readFile } = builtin<typeof import("node:fs/promises")>("node:fs/promises")!;
  const maps = await readFile("/proc/self/maps", "utf8");
  const library = /\/.*libonnxruntime\.so.*/.exec(maps)?.[0];
  if (library) return library;
  throw new DmaeError("unsupported", "kernels: onnxruntime-node did not load its library");
}

/** Axes of a tensor at most (`MAX_RANK` of onnxruntime.h). */
export const MOST_AXES = 15;

function portsOf(specs: ReadonlyMap<string, OutputSpec>): Port[] {
  return [...specs].map(([name, { dtype, shape }]) => {
    if (shape.length > MOST_AXES)
      throw new DmaeError(
        "unsupported",
        `kernels: ${name} has ${shape.length} axes, at most ${MOST_AXES} can be; pass kernels: "standard"`,
      );
    return [name, onnxType(dtype), ...shape];
  });
}

/** The numbers of ONNX Runtime's C interface. */
const LEVELS = { disabled: 0, all: 99 } as const;

/** A session of the addon. */
export const openNativeSession = (what: NativeSessionSource): object =>
  what.addon.create(
    what.model,
    portsOf(what.inputs),
    portsOf(what.outputs),
    Object.entries(nativeSettings()).flat(),
    what.external.flatMap(({ path, data }) => [path, data]),
    what.threads,
    what.path,
    profilePrefix(),
    what.cuda ? Object.entries(what.cuda).flat() : null,
    LEVELS[what.level ?? "all"],
  );

/**
 * A session of ONNX Runtime that knows generated operators. It writes into the tensors it is given and copies nothing; a
 * run takes a thread of libuv, so that the event loop goes on.
 */
export function createNativeSession(
  runtime: LoadedRuntime,
  what: NativeSessionSource,
): RuntimeSession {
  const { addon, inputs, outputs } = what;
  const session = openNativeSession(what);
  const data = (specs: ReadonlyMap<string, unknown>, from: Record<string, RuntimeTensor | null>) =>
    [...specs.keys()].map((name) => from[name]?.data);
  const fresh = () =>
    Object.fromEntries(
      [...outputs].map(([name, { dtype, shape }]) => [
        name,
        new runtime.Tensor(dtype, allocate(dtype, sizeOf(shape)), shape),
      ]),
    );
  return {
    async run(feeds, fetches) {
      const results = (fetches ?? fresh()) as Record<string, RuntimeTensor>;
      await addon.run(session, data(inputs, feeds), data(outputs, results));
      return results;
    },
    async release() {
      addon.release(session);
    },
  };
}

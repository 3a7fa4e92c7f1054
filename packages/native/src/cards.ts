import { existsSync, readFileSync } from "node:fs";
import { runCommand } from "./run-command.ts";
import type { CudaBuild } from "./tensorflow/tensorflow.ts";

/** An NVIDIA card, as its driver describes it. */
export interface Card {
  /** `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  /** `9.0`. */
  readonly computeCapability: string;
  /** Memory in MiB. */
  readonly memory: number;
}

/** The NVIDIA driver. */
export interface Driver {
  /** `550.54.15`. */
  readonly version: string;
  /** The newest CUDA it can run without forward-compatibility packages: `12.4`; undefined where unknown. */
  readonly cuda: string | undefined;
}

/** Driver and cards; neither where there is no driver. */
export interface NvidiaHardware {
  readonly driver?: Driver;
  readonly cards: readonly Card[];
}

/** Asks `nvidia-smi`, which comes with the driver (on WSL it lies outside the search path). */
export async function findHardware(): Promise<NvidiaHardware> {
  for (const program of ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"]) {
    const list = await runCommand(program, [
      "--query-gpu=name,compute_cap,memory.total,driver_version",
      "--format=csv,noheader,nounits",
    ]);
    if (list.status !== 0) continue;
    return parseHardware(list.stdout, (await runCommand(program, [])).stdout);
  }
  const kernel = "/proc/driver/nvidia/version";
  const version = existsSync(kernel)
    ? /Kernel Module[^\d]*([\d.]+)/.exec(readFileSync(kernel, "utf8"))?.[1]
    : undefined;
  return version === undefined
    ? { cards: [] }
    : { driver: { version, cuda: undefined }, cards: [] };
}

/** Reads the two outputs of `nvidia-smi`: the list of cards and the overview, which names the CUDA release. */
export function parseHardware(list: string, overview: string): NvidiaHardware {
  const rows = list
    .split("\n")
    .map((line) => line.split(",").map((cell) => cell.trim()))
    .filter((cells) => cells.length === 4);
  const cards = rows.map(([name = "", computeCapability = "", memory]) => ({
    name,
    computeCapability,
    memory: Number(memory),
  }));
  const version = rows[0]?.[3];
  if (version === undefined) return { cards };
  return { driver: { version, cuda: /CUDA Version\s*:\s*([\d.]+)/.exec(overview)?.[1] }, cards };
}

/** How a build's code reaches a card. */
export type CodePath = "machine code" | "compiled by the driver at first use" | "none";

/**
 * NVIDIA's rule: machine code `sm_XY` runs on cards of the same major capability X and of minor Y or more; portable code
 * `compute_XY` is compiled by the driver for any card of capability XY or more.
 */
export function codePath({ computeCapabilities }: CudaBuild, card: Card): CodePath {
  const [major = 0, minor = 0] = card.computeCapability.split(".").map(Number);
  const parsed = computeCapabilities.map((name) => {
    const [, kind, digits = "0"] = /^(sm|compute)_(\d+)/.exec(name) ?? [];
    return { kind, major: Math.floor(Number(digits) / 10), minor: Number(digits) % 10 };
  });
  if (parsed.some((code) => code.kind === "sm" && code.major === major && code.minor <= minor))
    return "machine code";
  const portable = parsed.some(
    (code) =>
      code.kind === "compute" &&
      (code.major < major || (code.major === major && code.minor <= minor)),
  );
  return portable ? "compiled by the driver at first use" : "none";
}

/** Compares the first two numbers of two releases: true when `found` is `wanted` or newer. */
export function atLeast(found: string, wanted: string): boolean {
  const [a = 0, b = 0] = found.split(".").map(Number);
  const [c = 0, d = 0] = wanted.split(".").map(Number);
  return a > c || (a === c && b >= d);
}

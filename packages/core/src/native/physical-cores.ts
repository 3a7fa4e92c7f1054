import { builtin } from "./node.ts";

/** Physical cores that this process may use: fewer than the machine's where it is bound to some of them. */
export function physicalCores(): number {
  const logical = builtin<typeof import("node:os")>("node:os")?.availableParallelism() ?? 1;
  const fs = builtin<typeof import("node:fs")>("node:fs");
  try {
    const text = fs?.readFileSync("/proc/cpuinfo", "utf8") ?? "";
    const cores = new Set<string>();
    for (const block of text.split("\n\n")) {
      const socket = /physical id\s*: (\d+)/.exec(block)?.[1];
      const core = /core id\s*: (\d+)/.exec(block)?.[1];
      if (socket !== undefined && core !== undefined) cores.add(`${socket}:${core}`);
    }
    return cores.size > 0 ? Math.min(cores.size, logical) : logical;
  } catch {
    return logical;
  }
}

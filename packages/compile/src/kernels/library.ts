import { KERNELS } from "../graph/build.ts";
import type { Node, Value } from "../graph/graph.ts";
import type { Kernel } from "./kernel.ts";

/** The kernels of a program, each written once however many nodes it makes. */
export class KernelLibrary {
  private readonly names = new Map<string, string>();
  private readonly byName = new Map<string, Kernel>();

  /** The operator of a kernel; an equal one is shared. */
  add(kernel: Kernel): string {
    const text = `${kernel.source}\n${kernel.entry}`;
    const name = this.names.get(text) ?? `${kernel.label}${this.names.size}`;
    this.names.set(text, name);
    this.byName.set(name, kernel);
    return name;
  }

  /** Whether `node`, made by a kernel, may write `output` over `input`. */
  overwrites(node: Node, input: Value, output: Value): boolean {
    const pairs = node.domain === KERNELS ? this.byName.get(node.op)?.overwrites : undefined;
    return pairs?.some(([i, o]) => node.inputs[i] === input && o === output.index) ?? false;
  }

  /** The C file. */
  source(): string {
    const named = (text: (kernel: Kernel) => string) =>
      [...this.byName].map(([name, kernel]) => text(kernel).replaceAll("NAME", name));
    const isWindow = [...this.byName.values()].some(({ label }) => label === "Window");
    const headers = ["attention.h", ...(isWindow ? ["convolution.h"] : [])];
    return [
      ...headers.map((header) => `#include "${header}"`),
      ...named(({ source }) => source),
      `static Operator operators[] = {\n${named(({ entry }) => entry).join(",\n")}};`,
      "DMAE_OPERATORS",
      "",
    ].join("\n\n");
  }
}

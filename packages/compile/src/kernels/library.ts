import { KERNELS } from "../graph/build.ts";
import type { KernelName, Node, Value } from "../graph/graph.ts";
import type { Kernel } from "./kernel.ts";

/** The kernels of a program, each written once however many nodes it makes. */
export class KernelLibrary {
  private readonly names = new Map<string, KernelName>();
  private readonly byName = new Map<string, Kernel>();

  /** The operator of a kernel; an equal one is shared. */
  add(kernel: Kernel): KernelName {
    const text = [kernel.source, kernel.entry, kernel.device].join("\n");
    const name: KernelName = this.names.get(text) ?? `${kernel.label}${this.names.size}`;
    this.names.set(text, name);
    this.byName.set(name, kernel);
    return name;
  }

  /** Whether `node`, made by a kernel, may write `output` over `input`. */
  overwrites(node: Node, input: Value, output: Value): boolean {
    const pairs = node.domain === KERNELS ? this.byName.get(node.op)?.overwrites : undefined;
    return pairs?.some(([i, o]) => node.inputs[i] === input && o === output.index) ?? false;
  }

  private named(text: (kernel: Kernel) => string): string[] {
    return [...this.byName].map(([name, kernel]) => text(kernel).replaceAll("NAME", name));
  }

  /** The C file; `header` is what its kernels stand on. */
  source(header = this.header()): string {
    return [
      header,
      ...this.named(({ source }) => source),
      `static Operator operators[] = {\n${this.named(({ entry }) => entry).join(",\n")}};`,
      "DMAE_OPERATORS",
      "",
    ].join("\n\n");
  }

  private header(): string {
    const isWindow = [...this.byName.values()].some(({ label }) => label === "Window");
    const headers = ["attention.h", ...(isWindow ? ["convolution.h"] : [])];
    return headers.map((header) => `#include "${header}"`).join("\n");
  }

  /** The CUDA file; `prelude` is what its kernels stand on (kernels.cuh). */
  deviceSource(prelude: string): string {
    const operands = [...this.byName.values()].map(
      ({ inputs, outputs, scratch }) => inputs.length + outputs.length + (scratch ? 1 : 0),
    );
    const most = Math.max(1, ...operands);
    return [`#define OPERANDS ${most}`, prelude, ...this.named((k) => k.device ?? "")].join("\n\n");
  }
}

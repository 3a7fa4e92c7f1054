import type { TensorSpecs, Tensors } from "@dmae/nn";
import { expect } from "vitest";
import { halvePrecision } from "../graph/halve-precision.ts";
import { optimize } from "../graph/optimize.ts";
import { tuneForCpu } from "../graph/tune-for-cpu.ts";
import { forCard, forCpu, fuse } from "../kernels/fuse.ts";
import { trace } from "../tracing/trace.ts";
import { faultsOf } from "./verify-graph.ts";

/** Expects that every pass leaves the graph of a function sound. */
export function expectSound(fn: (inputs: Tensors) => Tensors, specs: TensorSpecs): void {
  const traced = trace("test", fn, specs);
  const whole = optimize(traced);
  const ready = optimize(traced, { forKernels: "cpu" });
  const passes = {
    traced,
    optimize: whole,
    forKernels: ready,
    plainProducts: optimize(traced, { plainProducts: true, skipNorms: true }),
    tuneForCpu: tuneForCpu(whole),
    halved: halvePrecision(whole, "bfloat16", "cast"),
    fuse: fuse(halvePrecision(ready, "bfloat16", "kernels"), forCpu(1)).program,
    forCard: fuse(optimize(traced, { forKernels: "card" }), forCard).program,
  };
  for (const [pass, program] of Object.entries(passes)) expect(faultsOf(program), pass).toEqual([]);
}

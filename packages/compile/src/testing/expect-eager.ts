import type { HostTensor } from "@dmae/core";
import { eagerExecutor, type Tensors } from "@dmae/nn";
import { expect } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { compile } from "../index.ts";
import type { RuntimeOptions } from "../runtime/runtime.ts";
import { expectSound } from "./expect-sound.ts";

/** Expects sound graphs of a function, and when compiled what the eager backend makes of it; returns how many kernels were generated. */
export async function expectEager(
  fn: (inputs: Tensors) => Tensors,
  inputs: Readonly<Record<string, HostTensor>>,
  { tolerance = 1e-5, kernels }: Pick<RuntimeOptions, "kernels"> & { tolerance?: number } = {},
): Promise<number> {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
  );
  expectSound(fn, specs);
  const program = await compile(fn, specs, kernels ? { kernels } : {});
  const compiled = await program(inputs);
  program.dispose();
  const eager = await eagerExecutor().prepareFunction({ fn, specs });
  for (const [name, { data, shape }] of Object.entries(await eager(inputs))) {
    expect(compiled[name]!.shape, name).toEqual(shape);
    expectClose(compiled[name]!.data, data, { relative: tolerance, absolute: tolerance });
  }
  return program.statistics.kernels;
}

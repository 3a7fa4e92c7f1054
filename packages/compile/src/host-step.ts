import type { HostTensor, HostTensors } from "@dmae/core";
import { allocate, type OutputSpec, sizeOf } from "./graph/graph.ts";
import type { LoadedProgram } from "./runtime/program.ts";
import type { RuntimeTensor } from "./runtime/runtime.ts";
import { BATCH, entries, METRIC, NEXT, namesWith, prefixed, STATE } from "./step-names.ts";

/** The entries of a state in host memory. */
export interface HostMemory {
  /** The state now. */
  readonly current: HostTensors;
  /** Newer values of entries that the last run left on the card. */
  readonly onCard: Map<string, RuntimeTensor>;
  /** Memory for the next values of entries that a program cannot write over. */
  spares(names: readonly string[]): HostTensors;
  /** Makes the spares of these entries their state, and their old memory the spare. */
  swap(names: readonly string[]): void;
}

/** A program as a step on a state in host memory. */
export function stepOn(owned: HostMemory, program: LoadedProgram) {
  const outputs = [...program.outputs.keys()];
  const metrics = outputs.filter((name) => name.startsWith(METRIC));
  const written = namesWith(NEXT, program.outputs);
  const moved = written.filter((name) => !program.inPlace.has(STATE + name));
  const metricTensors = program.tensors(
    Object.fromEntries(metrics.map((name) => [name, zerosOf(program.outputs.get(name)!)])),
  );
  // entries keep their memory, so that each is wrapped once
  const wrapped = new WeakMap<HostTensor, RuntimeTensor>();
  const wrap = (prefix: string, entries: HostTensors): Record<string, RuntimeTensor> => {
    const tensors: Record<string, RuntimeTensor> = {};
    for (const [name, entry] of Object.entries(entries)) {
      let tensor = wrapped.get(entry);
      if (tensor === undefined) wrapped.set(entry, (tensor = program.tensor(entry)));
      tensors[prefix + name] = tensor;
    }
    return tensors;
  };
  return async (batch: Record<string, RuntimeTensor>) => {
    const { current } = owned;
    const next = { ...entries(current, written), ...owned.spares(moved) };
    const kept = prefixed(STATE, Object.fromEntries(owned.onCard));
    const feeds = { ...wrap(STATE, current), ...kept, ...prefixed(BATCH, batch) };
    const into = { ...wrap(NEXT, next), ...metricTensors };
    const results = await program.run(feeds, program.writesInto ? into : undefined);
    owned.swap(moved);
    if (program.keepsState) keepOnCard(results, written, owned.onCard);
    else if (!program.writesInto) await keepResults(results, written, owned.current);
    return Object.fromEntries(
      metrics.map((name) => [
        name.slice(METRIC.length),
        Number((results[name]!.data as ArrayLike<number>)[0]),
      ]),
    );
  };
}

/** Takes over outputs that stay on the card, and frees those of the run before. */
function keepOnCard(
  results: Record<string, RuntimeTensor>,
  names: readonly string[],
  onCard: Map<string, RuntimeTensor>,
): void {
  for (const name of names) {
    onCard.get(name)?.dispose?.();
    onCard.set(name, results[NEXT + name]!);
  }
}

/** Reads back what lies on the card, and frees it there. */
export async function readBack({ current, onCard }: HostMemory): Promise<void> {
  for (const [name, tensor] of onCard) {
    current[name]!.data.set((await tensor.getData!()) as Float32Array);
    tensor.dispose?.();
    onCard.delete(name);
  }
}

/** Takes over the values of outputs that have buffers of their own. */
async function keepResults(
  results: Record<string, RuntimeTensor>,
  names: readonly string[],
  into: Record<string, HostTensor>,
): Promise<void> {
  for (const name of names) {
    const result = results[NEXT + name]!;
    const data = (result.getData ? await result.getData() : result.data) as Float32Array;
    const target = into[name]!.data;
    if (data !== target && data.buffer !== target.buffer) target.set(data);
  }
}

/** Zeros of a spec. */
export const zerosOf = ({ dtype, shape }: OutputSpec): HostTensor => ({
  dtype: dtype as HostTensor["dtype"],
  shape,
  data: allocate(dtype, sizeOf(shape)) as HostTensor["data"],
});

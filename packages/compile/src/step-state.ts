import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import type { TensorSpecs } from "@dmae/nn";
import { hostInputs, lifetime } from "@dmae/nn/executors";
import { type HostMemory, readBack, stepOn, zerosOf } from "./host-step.ts";
import { takeTurns } from "./runtime/in-turn.ts";
import type { LoadedProgram } from "./runtime/program.ts";

/** A program that is called with batches, and may be told the next one. */
export interface BatchStep {
  (batch: unknown): Promise<Record<string, number>>;
  bring?(batch: unknown): void;
}

/** The state of one or several step programs, which read and write it one after another. */
export interface StepState {
  /** Makes a program callable with batches; it is freed with the state. */
  step(program: LoadedProgram, batch: TensorSpecs): BatchStep;
  /** Gives `change` the exchanged entries to read and overwrite, see `PreparedSteps`. */
  exchange(change: (values: readonly Float32Array[]) => Promise<void>): Promise<void>;
  /** A copy of the state, or of the entries of these names. */
  copy(names?: readonly string[]): Promise<Record<string, HostTensor>>;
  /** Frees the state and its programs. */
  dispose(): void;
}

/** Bytes of a cache line, at which entries of one buffer begin. */
const LINE = 64;

/**
 * Copies a state, which then belongs to the programs: the caller's stays as it is.
 *
 * @param exchanged names of float32 entries to lay side by side
 */
export function hostState(state: HostTensors, exchanged: readonly string[] = []): StepState {
  const together = new Set(exchanged);
  let current: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(state))
    if (!together.has(name)) current[name] = copyOf(tensor);
  const laid = sideBySide(exchanged.map((name) => [name, state[name]!]));
  for (const [name, { data }] of Object.entries(laid)) data.set(state[name]!.data);
  current = Object.fromEntries(
    Object.keys(state).map((name) => [name, laid[name] ?? current[name]!]),
  );
  // Made by the first run: whoever gave the state has mostly dropped it by then, so that its memory serves again.
  const spare: Record<string, HostTensor> = {};
  const programs: LoadedProgram[] = [];
  const inTurn = takeTurns();
  const life = lifetime(() => {
    for (const tensor of owned.onCard.values()) tensor.dispose?.();
    for (const program of programs) program.dispose();
    for (const record of [current, spare])
      for (const name of Object.keys(record)) delete record[name];
  }, refuseDisposed);
  const owned: HostMemory = {
    current,
    onCard: new Map(),
    spares(names) {
      const missing = names.filter((name) => !(name in spare));
      const apart = missing.filter((name) => !together.has(name));
      for (const name of apart) spare[name] = zerosOf(current[name]!);
      const beside = missing.filter((name) => together.has(name));
      Object.assign(spare, sideBySide(beside.map((name) => [name, current[name]!])));
      return Object.fromEntries(names.map((name) => [name, spare[name]!]));
    },
    swap(names) {
      for (const name of names) [current[name], spare[name]] = [spare[name]!, current[name]!];
    },
  };
  return {
    step(program, specs) {
      programs.push(program);
      const run = stepOn(owned, program);
      return (batch) =>
        life.during(async () => {
          const lent = program.copies(hostInputs("call", batch, specs));
          return inTurn(() => run(lent));
        });
    },
    exchange: (change) =>
      life.during(() =>
        inTurn(async () => {
          await readBack(owned);
          await change(joined(exchanged.map((name) => current[name]!.data as Float32Array)));
        }),
      ),
    copy: (names = Object.keys(state)) =>
      life.during(() =>
        inTurn(async () => {
          await readBack(owned);
          return Object.fromEntries(names.map((name) => [name, copyOf(current[name]!)]));
        }),
      ),
    dispose: life.close,
  };
}

/** Zeros of the shapes of float32 tensors, in one buffer. */
function sideBySide(
  tensors: readonly (readonly [string, HostTensor])[],
): Record<string, HostTensor> {
  let bytes = 0;
  const starts = tensors.map(([, { data }]) => {
    const start = bytes;
    bytes += Math.ceil(data.byteLength / LINE) * LINE;
    return start;
  });
  const buffer = new ArrayBuffer(bytes);
  return Object.fromEntries(
    tensors.map(([name, { dtype, shape, data }], i) => [
      name,
      { dtype, shape: [...shape], data: new Float32Array(buffer, starts[i], data.length) },
    ]),
  );
}

/** The values of arrays, those that lie side by side as one array. */
function joined(arrays: readonly Float32Array[]): Float32Array[] {
  const ranges: { buffer: ArrayBufferLike; start: number; end: number }[] = [];
  for (const { buffer, byteOffset, byteLength } of arrays) {
    const last = ranges.at(-1);
    const end = byteOffset + byteLength;
    const gap = last?.buffer === buffer ? byteOffset - last.end : -1;
    if (gap >= 0 && gap < LINE) last!.end = end;
    else ranges.push({ buffer, start: byteOffset, end });
  }
  return ranges.map(({ buffer, start, end }) => new Float32Array(buffer, start, (end - start) / 4));
}

/** State in a buffer of our own, so that the caller's stays as it is. */
const copyOf = ({ dtype, shape, data }: HostTensor): HostTensor => ({
  dtype,
  shape: [...shape],
  data: data.slice(),
});

/** Refuses calls after `dispose`. */
export function refuseDisposed(): never {
  throw new DmaeError("argument", "call: this program was disposed of; prepare it again");
}

import { type DType, foldIn, type HostTensor, key } from "@dmae/core";
import { generator } from "@dmae/core/random";
import { toHost, toTensors } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { compile } from "../compile.ts";
import { expectSound } from "./expect-sound.ts";

/** Draws shapes and values for the cases of a sweep. */
export interface Draw {
  /** A whole number in [low, high]. */
  integer(low: number, high: number): number;
  /** One of the options. */
  pick<T>(options: readonly T[]): T;
  /** `rank` dimensions of 1 … 5. */
  shape(rank: number): number[];
  /** float32 values in [low, high). */
  floats(shape: readonly number[], low?: number, high?: number): HostTensor;
  /** int32 values in [low, high]. */
  integers(shape: readonly number[], low?: number, high?: number): HostTensor;
  /** bool values. */
  bools(shape: readonly number[]): HostTensor;
  /** Values of any dtype. */
  values(dtype: DType, shape: readonly number[]): HostTensor;
}

export function draws(seed: number, name: string): Draw {
  const random = generator(foldIn(key(seed), name));
  const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
  const integer = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
  const draw: Draw = {
    integer,
    pick: (options) => options[integer(0, options.length - 1)]!,
    shape: (rank) => Array.from({ length: rank }, () => integer(1, 5)),
    floats: (shape, low = -2, high = 2) => ({
      dtype: "float32",
      shape: [...shape],
      data: Float32Array.from({ length: size(shape) }, () => low + random() * (high - low)),
    }),
    integers: (shape, low = -7, high = 7) => ({
      dtype: "int32",
      shape: [...shape],
      data: Int32Array.from({ length: size(shape) }, () => integer(low, high)),
    }),
    bools: (shape) => ({
      dtype: "bool",
      shape: [...shape],
      data: Uint8Array.from({ length: size(shape) }, () => integer(0, 1)),
    }),
    values: (dtype, shape) =>
      dtype === "float32"
        ? draw.floats(shape)
        : dtype === "int32"
          ? draw.integers(shape)
          : draw.bools(shape),
  };
  return draw;
}

/** A case: inputs and a function of them. */
export interface Case {
  readonly inputs: Record<string, HostTensor>;
  readonly fn: (inputs: Record<string, tf.Tensor>) => tf.Tensor | tf.Tensor[];
}

/** Runs a case eagerly on cpu and compiled; graphs must be sound, dtypes, shapes and values must agree. */
export async function expectSame({ inputs, fn }: Case, tolerance = 1e-5): Promise<void> {
  const record = (tensors: Record<string, tf.Tensor>) => {
    const result = fn(tensors);
    const list = Array.isArray(result) ? result : [result];
    return Object.fromEntries(list.map((tensor, i) => [`y${i}`, tensor]));
  };
  const tensors = toTensors(inputs);
  const outputs = tf.tidy(() =>
    Object.fromEntries(Object.entries(record(tensors)).map(([k, t]) => [k, tf.clone(t)])),
  );
  const eager = await toHost(outputs);
  tf.dispose([tensors, outputs]);
  expectSound(record, inputs);
  const program = await compile(record, inputs, { threads: 1 });
  try {
    const compiled = (await program(inputs)) as Record<string, HostTensor>;
    for (const [name, expected] of Object.entries(eager)) {
      const actual = compiled[name]!;
      expect(actual.dtype, "dtype").toBe(expected.dtype);
      expect([...actual.shape], "shape").toEqual([...expected.shape]);
      expectSimilar(actual.data, expected.data, expected.dtype === "float32" ? tolerance : 0);
    }
  } finally {
    program.dispose();
  }
}

/** Equal where not finite, else within `tolerance` of the larger of the value and the typical size. */
function expectSimilar(
  actual: HostTensor["data"],
  expected: HostTensor["data"],
  tolerance: number,
) {
  expect(actual.length).toBe(expected.length);
  const finite = Array.from(expected as Float32Array, Math.abs).filter(Number.isFinite);
  const typical = finite.reduce((n, v) => Math.max(n, v), 0);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (Object.is(a, e) || a === e) continue;
    const bound = tolerance * Math.max(Math.abs(e), 0.1 * typical);
    if (!(Math.abs(a - e) <= bound))
      expect.fail(`element ${i} of ${expected.length}: compiled ${a}, eager ${e}, bound ${bound}`);
  }
}

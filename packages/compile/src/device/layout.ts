import type { HostTensor } from "@dmae/core";
import { type OutputSpec, sizeOf } from "../graph/graph.ts";

/** Bytes to which entries of a block are aligned, as CUDA aligns what it allocates. */
const ALIGNMENT = 256;

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

const arrayOf = ({ dtype }: OutputSpec) => arrays[dtype as keyof typeof arrays];

/** Bytes of a tensor. */
export const byteLength = (spec: OutputSpec): number =>
  sizeOf(spec.shape) * arrayOf(spec).BYTES_PER_ELEMENT;

/** Where tensors lie in one block. */
export interface Layout {
  readonly specs: ReadonlyMap<string, OutputSpec>;
  readonly offsets: ReadonlyMap<string, number>;
  readonly bytes: number;
}

/** Lays tensors out one after another; empty ones have a place, too. */
export function layOut(specs: ReadonlyMap<string, OutputSpec>): Layout {
  const offsets = new Map<string, number>();
  let bytes = 0;
  for (const [name, spec] of specs) {
    offsets.set(name, bytes);
    bytes += Math.ceil(Math.max(1, byteLength(spec)) / ALIGNMENT) * ALIGNMENT;
  }
  return { specs, offsets, bytes };
}

/** A tensor of a layout, in host memory that is laid out so. */
export function tensorIn({ specs, offsets }: Layout, buffer: ArrayBuffer, name: string) {
  const spec = specs.get(name)!;
  const data = new (arrayOf(spec))(buffer, offsets.get(name), sizeOf(spec.shape));
  return { dtype: spec.dtype, shape: [...spec.shape], data } as HostTensor;
}

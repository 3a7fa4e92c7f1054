// Test helper: damages files at random, from a seed. No part of the package.
import { bytes, little } from "./pickle-builder.ts";

/** Uniform in [0, 1). */
export type Random = () => number;

const below = (random: Random, limit: number) => Math.floor(random() * limit);

/** Numbers at which sizes and offsets tend to go wrong. */
const edges = [0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const wideEdges = [...edges, 2 ** 32, 2 ** 40, 2 ** 52, Number.MAX_SAFE_INTEGER];

type Mutation = (file: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const flip: Mutation = (file, random) => {
  const out = file.slice();
  if (out.length > 0) out[below(random, out.length)]! ^= 1 << below(random, 8);
  return out;
};

const overwrite =
  (value: (random: Random, length: number) => Uint8Array): Mutation =>
  (file, random) => {
    const out = file.slice();
    const patch = value(random, 1 + below(random, 16)).subarray(0, out.length);
    out.set(patch, below(random, out.length - patch.length + 1));
    return out;
  };

/** Replaces `length` bytes at `at`. */
const splice = (file: Uint8Array, at: number, length: number, patch: Uint8Array) =>
  bytes(file.subarray(0, at), patch, file.subarray(at + length));

const piece = (file: Uint8Array, random: Random, longest: number) => {
  const start = below(random, file.length + 1);
  return file.subarray(start, start + below(random, longest));
};

const mutations: readonly Mutation[] = [
  flip,
  flip,
  overwrite((random, length) => Uint8Array.from({ length }, () => below(random, 256))),
  overwrite((_, length) => new Uint8Array(length)),
  overwrite((_, length) => new Uint8Array(length).fill(255)),
  overwrite((random) => little(edges[below(random, edges.length)]!, 4)),
  overwrite((random) => little(wideEdges[below(random, wideEdges.length)]!, 8)),
  (file, random) => file.slice(0, below(random, file.length + 1)), // truncate
  (file, random) => splice(file, below(random, file.length + 1), below(random, 64), bytes()), // delete
  (file, random) => splice(file, below(random, file.length + 1), 0, piece(file, random, 64)), // repeat
  (file, random, other) =>
    splice(file, below(random, file.length + 1), below(random, 64), piece(other, random, 256)),
  (file, random) => {
    const digit = [...file.keys()].filter((i) => file[i]! >= 48 && file[i]! <= 57);
    const out = file.slice();
    if (digit.length > 0) out[digit[below(random, digit.length)]!] = 48 + below(random, 10);
    return out;
  },
];

/** `file` after one random change, or for a third of the files up to six; `other` lends pieces. */
export function mutate(file: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let out = file;
  for (let left = below(random, 3) ? 1 : 1 + below(random, 6); left > 0; left--)
    out = mutations[below(random, mutations.length)]!(out, random, other);
  return out;
}

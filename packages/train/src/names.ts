import type { HostTensors } from "@dmae/core";

/** The entries of `record` whose names begin with `prefix`, without it. */
export function unprefixed<T>(
  prefix: string,
  record: Readonly<Record<string, T>>,
): Record<string, T> {
  const entries: Record<string, T> = {};
  for (const [name, value] of Object.entries(record))
    if (name.startsWith(prefix)) entries[name.slice(prefix.length)] = value;
  return entries;
}

/** `record` with `prefix` before each name. */
export function prefixed<T>(
  prefix: string,
  record: Readonly<Record<string, T>>,
): Record<string, T> {
  const entries: Record<string, T> = {};
  for (const [name, value] of Object.entries(record)) entries[prefix + name] = value;
  return entries;
}

/** Numbers as rank-0 float32 host tensors. */
export function scalarTensors(values: Readonly<Record<string, number>>): HostTensors {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      { dtype: "float32", shape: [], data: Float32Array.of(value) },
    ]),
  );
}

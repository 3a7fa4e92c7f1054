import { DmaeError, type HostTensors } from "@dmae/core";

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

/**
 * `given` in the order of `expected`, after comparing names and shapes.
 *
 * @param rule how the error begins, e.g. `pretrain: initialParams must have the model's names and shapes`
 * @throws DmaeError "checkpoint" that lists every name which differs
 */
export function inOrderOf(expected: HostTensors, given: HostTensors, rule: string): HostTensors {
  const names = new Set([...Object.keys(expected), ...Object.keys(given)]);
  const wrong = [...names].filter((name) => `${expected[name]?.shape}` !== `${given[name]?.shape}`);
  if (wrong.length > 0)
    throw new DmaeError("checkpoint", `${rule}; these differ: ${wrong.join(", ")}`, {
      names: wrong,
    });
  return Object.fromEntries(Object.keys(expected).map((name) => [name, given[name]!]));
}

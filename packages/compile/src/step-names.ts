/** What the inputs and outputs of a step's program begin with. */
export const STATE = "state:";
export const BATCH = "batch:";
export const NEXT = "next:";
export const METRIC = "metric:";

/** Keeps outputs of a graph apart from inputs of the same name. */
export const OUTPUT = "out:";

/** A record under names with a prefix. */
export const prefixed = <T>(
  prefix: string,
  record: Readonly<Record<string, T>>,
): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]));

/** The entries whose names have a prefix, without it. */
export const stripped = <T>(
  prefix: string,
  record: Readonly<Record<string, T>>,
): Record<string, T> =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );

/** The entries of these names, those that are there. */
export const entries = <T>(record: Readonly<Record<string, T>>, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (name in record ? [[name, record[name]!]] : [])));

/** Names of a program's outputs that begin with a prefix, without it. */
export const namesWith = (prefix: string, outputs: ReadonlyMap<string, unknown>): string[] =>
  [...outputs.keys()].flatMap((name) =>
    name.startsWith(prefix) ? [name.slice(prefix.length)] : [],
  );

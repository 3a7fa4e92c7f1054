// Node's modules are taken when they are needed: this package loads in browsers too.

/** What this package uses of Node's `process`. */
interface NodeProcess {
  readonly platform?: string;
  readonly arch?: string;
  readonly pid?: number;
  readonly versions?: { readonly node?: string };
  readonly env?: Readonly<Record<string, string | undefined>>;
  getBuiltinModule?(name: string): unknown;
}

/** Node's `process`; undefined in browsers. */
export const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/** A module of Node's own; undefined in browsers. */
export const builtin = <T>(name: string): T | undefined =>
  nodeProcess?.getBuiltinModule?.(name) as T | undefined;

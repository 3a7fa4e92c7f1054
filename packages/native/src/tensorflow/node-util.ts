/** The part of `node:util` that `@tensorflow/tfjs-node` 4.22 calls and that Node 23 took away. */
export interface LegacyUtil {
  /** True for null and undefined. */
  isNullOrUndefined?: (value: unknown) => boolean;
  /** `Array.isArray`. */
  isArray?: (value: unknown) => boolean;
}

/**
 * Gives `node:util` back the two functions that `@tensorflow/tfjs-node` 4.22 calls (`isNullOrUndefined`, `isArray`) where
 * Node no longer has them (23 and later); no file is changed, and functions that are there stay.
 *
 * @param util the CommonJS module object: `createRequire(import.meta.url)("node:util")`
 */
export function supplyUtil(util: LegacyUtil): void {
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}

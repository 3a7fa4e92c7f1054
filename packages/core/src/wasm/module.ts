import { assemble } from "./assembler.ts";
import { ConstantPool } from "./layout.ts";
import { normalsFunction } from "./normals.ts";
import { shiftFunctions } from "./shift.ts";
import { uniformsFunction } from "./values.ts";
import { wordsFunction } from "./words.ts";

/** The module's bytes, and the constants to be copied to `layout.constants` before the first call. */
export function buildModule(): { code: Uint8Array<ArrayBuffer>; constants: Float64Array } {
  const pool = new ConstantPool();
  const functions = [
    wordsFunction(pool),
    uniformsFunction(pool),
    normalsFunction(pool),
    ...shiftFunctions(),
  ];
  return { code: assemble(functions, 1), constants: pool.values() };
}

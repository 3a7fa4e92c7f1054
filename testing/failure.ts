import { DmaeError } from "../packages/core/src/index.ts";

/** The DmaeError (of `code`, where given) with which `work` fails; anything else fails the test. */
export async function failure(
  work: (() => unknown) | Promise<unknown>,
  code?: DmaeError["code"],
): Promise<DmaeError> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    if (DmaeError.isInstance(error, code)) return error;
    throw error;
  }
  throw new Error("did not fail");
}

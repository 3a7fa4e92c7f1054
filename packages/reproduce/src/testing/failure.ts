import { expect } from "vitest";

/** The error that work ends with: one with a code, in one line. */
export async function failure(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => undefined,
    (e) => e,
  );
  if (error?.code === undefined) throw error ?? new Error("nothing was thrown");
  expect(error.message).not.toContain("\n");
  return error;
}

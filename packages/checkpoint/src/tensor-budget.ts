import { DmaeError } from "@dmae/core";
import { byteLength, type StoredSpec } from "./dtypes.ts";

/** How many times the size of its file all tensors together may take. */
const maxFactor = 4;
/** What small files may take beyond that. */
const allowance = 1 << 26;

/**
 * Refuses a file whose tensors together are much larger than itself: strides of 0, many views of one
 * storage or many names for one tensor would make gigabytes of a few kilobytes. A real file may share
 * its weights between a few names.
 *
 * @internal
 */
export function checkTotalSize(
  caller: string,
  label: string,
  fileSize: number,
  tensors: Iterable<StoredSpec>,
): void {
  const limit = maxFactor * fileSize + allowance;
  let total = 0;
  for (const tensor of tensors) total += byteLength(tensor);
  if (total <= limit) return;
  throw new DmaeError(
    "file",
    `${caller}: ${label} must hold tensors of at most ${maxFactor} times its ${fileSize} bytes, got ${total} bytes in all; in Python save tensor.clone() of expanded and shared tensors, or choose fewer with select`,
    { fileSize, total },
  );
}

/** `work`, with a typed error where the memory for its tensor is not to be had. @internal */
export async function withMemory<T>(
  caller: string,
  name: string,
  spec: StoredSpec,
  work: () => Promise<T> | T,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new DmaeError(
      "file",
      `${caller}: "${name}" needs ${byteLength(spec)} bytes of memory, which are not to be had: ${cause.message}`,
      { name },
      { cause },
    );
  }
}

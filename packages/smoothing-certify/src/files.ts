import type { FileHandle } from "node:fs/promises";
import { standIn } from "@dmae/core/checks";

/**
 * All of a file in Node. Pipes and devices, which block or never end, and what a failed download or a
 * checkout without Git LFS left in place of the file are errors.
 *
 * @throws Error with the reason; the caller adds its name and that of the file
 */
export async function readRegularFile(path: string | URL, maxBytes: number): Promise<Uint8Array> {
  const handle = await openRegularFile(path);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new Error(`it may have ${maxBytes} bytes at most, got ${size}`);
    return new Uint8Array(await handle.readFile());
  } finally {
    await handle.close();
  }
}

/** A file in Node, opened for reading from its start; errors as of {@link readRegularFile}. */
export async function openRegularFile(path: string | URL): Promise<FileHandle> {
  const { constants, open } = await import("node:fs/promises");
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const status = await handle.stat();
    if (!status.isFile())
      throw new Error(
        status.isDirectory() ? "it is a folder, not a file" : "it is no regular file",
      );
    const { buffer, bytesRead } = await handle.read(new Uint8Array(512), 0, 512, 0);
    const other = standIn(buffer.subarray(0, bytesRead));
    if (other) throw new Error(`it is ${other}`);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

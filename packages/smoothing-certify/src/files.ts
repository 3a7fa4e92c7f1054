import { standIn } from "@dmae/core/checks";

/**
 * All of a file in Node. Pipes and devices, which block or never end, and what a failed download or a
 * checkout without Git LFS left in place of the file are errors.
 *
 * @throws Error with the reason; the caller adds its name and that of the file
 */
export async function readRegularFile(path: string | URL, maxBytes: number): Promise<Uint8Array> {
  const { constants, open } = await import("node:fs/promises");
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const status = await handle.stat();
    if (!status.isFile())
      throw new Error(
        status.isDirectory() ? "it is a folder, not a file" : "it is no regular file",
      );
    if (status.size > maxBytes)
      throw new Error(`it may have ${maxBytes} bytes at most, got ${status.size}`);
    const bytes = new Uint8Array(await handle.readFile());
    const other = standIn(bytes);
    if (other) throw new Error(`it is ${other}`);
    return bytes;
  } finally {
    await handle.close();
  }
}

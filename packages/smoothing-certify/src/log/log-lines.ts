import type { FileHandle } from "node:fs/promises";
import { DmaeError } from "@dmae/core";
import { fileError } from "@dmae/core/files";
import { openRegularFile } from "../files.ts";

/** A line has no more characters: a row writes down no more votes than there are samples. */
const longestLine = 2 ** 24;

/** How many times its size a compressed log may unpack to, beyond 16 MiB. */
const maxRatio = 100;

export const isCompressed = (path: string | URL) => String(path).endsWith(".gz");

/** Cuts bytes into lines, as they come. */
export class LineSplitter {
  /** Bytes up to the last line end. */
  completeBytes = 0;
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  private bytes = 0;
  private rest = "";

  /** @param name of the file, for error messages */
  constructor(private readonly name: string) {}

  /** The lines that end in these bytes, without their line ends. */
  push(bytes: Uint8Array): string[] {
    const text = this.decoder.decode(bytes, { stream: true });
    const end = bytes.lastIndexOf(10);
    if (end >= 0) this.completeBytes = this.bytes + end + 1;
    this.bytes += bytes.length;
    const lines = text.split("\n");
    lines[0] = this.rest + lines[0];
    this.rest = lines.pop()!;
    if (this.rest.length <= longestLine) return lines;
    throw new DmaeError(
      "file",
      `readLog: ${this.name}: a line may have ${longestLine} characters at most; is it a log?`,
      { file: this.name },
    );
  }

  /** What follows the last line end. */
  end(): string {
    return this.rest + this.decoder.decode();
  }
}

/** The bytes of a log, unpacked, in pieces that are valid until the next one is asked for. */
export async function* bytesOfLog(path: string | URL): AsyncGenerator<Uint8Array, void, void> {
  let handle: FileHandle | undefined;
  try {
    handle = await openRegularFile(path);
    const { size } = await handle.stat();
    if (!isCompressed(path)) return yield* bytesUpTo(handle, size);
    const most = 2 ** 24 + maxRatio * size;
    let length = 0;
    for await (const piece of await unpacked(handle)) {
      length += piece.length;
      if (length > most) throw new Error(`it unpacks to more than ${most} bytes`);
      yield piece;
    }
  } catch (cause) {
    throw fileError("readLog", "read", path, cause);
  } finally {
    await handle?.close();
  }
}

async function unpacked(handle: FileHandle): Promise<AsyncIterable<Uint8Array>> {
  const { createGunzip } = await import("node:zlib");
  const { pipeline } = await import("node:stream");
  const file = handle.createReadStream({ start: 0, autoClose: false });
  return pipeline(file, createGunzip(), () => {}); // errors come out of the loop that reads it
}

/** The first bytes of a file, in pieces that are valid until the next one is asked for. */
export async function* bytesUpTo(
  handle: FileHandle,
  end: number,
): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(Math.min(end, 1 << 16));
  for (let at = 0; at < end; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) return; // cut off meanwhile
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

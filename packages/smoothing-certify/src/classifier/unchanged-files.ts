/**
 * Finds out whether files that are read twice, e.g. by a runtime and for a fingerprint, were replaced or written to in
 * between. Only in Node.
 */
export class UnchangedFiles {
  private readonly stamps = new Map<string, string>();

  /** Notes files as they are now. */
  async note(files: readonly string[]): Promise<void> {
    for (const file of files) this.stamps.set(file, await stampOf(file));
  }

  /** Throws where one of the files is no longer the one that was noted. */
  async check(): Promise<void> {
    for (const [file, stamp] of this.stamps)
      if ((await stampOf(file)) !== stamp)
        throw new Error(
          `${file} must stay as it is while it is loaded, but it was replaced or written to; load it again`,
        );
  }
}

/** A text that is another one once the file was written to or replaced; empty for a file that does not exist. */
async function stampOf(file: string): Promise<string> {
  const { stat } = await import("node:fs/promises");
  try {
    const { dev, ino, size, mtimeNs } = await stat(file, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs}`;
  } catch {
    return "";
  }
}

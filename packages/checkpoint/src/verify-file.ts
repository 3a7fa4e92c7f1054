import { DmaeError } from "@dmae/core";
import type { OptionNames } from "@dmae/core/checks";

/** What a file must be. */
export interface FileFacts {
  /** Length in bytes. */
  readonly size?: number | undefined;
  /** SHA-256, 64 hexadecimal digits. */
  readonly sha256?: string | undefined;
  /** MD5, 32 hexadecimal digits, or as many of the first ones as are published (6 at least). */
  readonly md5?: string | undefined;
}

/** The names of {@link FileFacts}. @internal */
export const factNames = { size: true, sha256: true, md5: true } satisfies OptionNames<FileFacts>;

/** @internal */
export function checkFacts(caller: string, { size, sha256, md5 }: FileFacts): void {
  const fail = (rule: string, got: unknown) => {
    throw new DmaeError("argument", `${caller}: ${rule}, got ${got}`);
  };
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0))
    fail("size must be a number of bytes", size);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256))
    fail("sha256 must be 64 hexadecimal digits", sha256);
  if (md5 !== undefined && !/^[0-9a-f]{6,32}$/i.test(md5))
    fail("md5 must be 6 to 32 hexadecimal digits", md5);
}

/**
 * Why the file at `path` is not what `facts` say; undefined where it is.
 *
 * @internal
 */
export async function findFault(path: string, facts: FileFacts): Promise<string | undefined> {
  const { stat } = await import("node:fs/promises");
  const { size } = await stat(path);
  if (facts.size !== undefined && size !== facts.size)
    return `it must have ${facts.size} bytes, got ${size}`;
  for (const algorithm of ["sha256", "md5"] as const) {
    const expected = facts[algorithm]?.toLowerCase();
    if (expected === undefined) continue;
    const digest = await digestFile(path, algorithm);
    if (!digest.startsWith(expected)) return `its ${algorithm} must be ${expected}, got ${digest}`;
  }
  return undefined;
}

async function digestFile(path: string, algorithm: "sha256" | "md5"): Promise<string> {
  const { createReadStream } = await import("node:fs");
  const { createHash } = await import("node:crypto");
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

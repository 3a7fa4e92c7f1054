import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { parseStrictJson } from "@dmae/core/checks";
import { cacheFolder } from "@dmae/core/files";
import { defaultMaxBytes, readWhole } from "./files.ts";
import { writeWhole } from "./write-files.ts";

/** A cached index: small facts as JSON, and one block of bytes. */
export interface CachedIndex {
  readonly facts: unknown;
  readonly block: Buffer;
}

const magic = "dmae-index 2\n";

/** Where the index of `path` is kept: the folder that `@dmae/checkpoint` downloads to, by a hash of the path. */
export async function defaultIndexFile(kind: string, path: string): Promise<string> {
  const hash = createHash("sha256").update(resolve(path)).digest("hex").slice(0, 24);
  return join(await cacheFolder(), `${kind}-${hash}.index`);
}

/** Reads a cached index; undefined if there is none or it is damaged: then it is built again. */
export async function readIndex(file: string): Promise<CachedIndex | undefined> {
  const bytes = await readWhole("readIndex", file, defaultMaxBytes).catch(() => undefined);
  if (!bytes?.subarray(0, magic.length).equals(Buffer.from(magic))) return undefined;
  const body = bytes.subarray(magic.length + 65);
  if (bytes.toString("latin1", magic.length, magic.length + 64) !== digest(body)) return undefined;
  const end = body.indexOf(10);
  try {
    const facts = parseStrictJson(body.toString("utf8", 0, end));
    return typeof facts === "object" && facts
      ? { facts, block: body.subarray(end + 1) }
      : undefined;
  } catch {
    return undefined; // a digest can be forged with the rest
  }
}

/** Writes an index: all of it or nothing. A folder that cannot be written to only costs the next start time. */
export async function writeIndex(file: string, { facts, block }: CachedIndex): Promise<void> {
  const body = Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), block]);
  await writeWhole("writeIndex", file, [Buffer.from(`${magic}${digest(body)}\n`), body]).catch(
    () => {},
  );
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

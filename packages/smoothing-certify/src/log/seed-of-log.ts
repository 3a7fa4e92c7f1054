import { requireNode } from "../in-node.ts";
import { parseSeed, type Seed } from "../noise/fresh-seed.ts";
import { parseLog } from "./log-reader.ts";

/**
 * Returns the seed of a log's first row: a run without a seed of its own continues with it. Undefined if the
 * log has no readable row; opening the log then reports what is wrong with it.
 */
export async function seedOfLog(path: string | URL): Promise<Seed | undefined> {
  requireNode("certifyDataset", "logs");
  const text = await firstLines(path, 2).catch(() => "");
  try {
    const seed = parseLog(text, String(path), true)[0]?.settings?.seed;
    return seed === undefined ? undefined : parseSeed(seed);
  } catch {
    return undefined;
  }
}

/** Bytes that a header and a row have at most: a row writes down no more votes than there are samples. */
const MOST_BYTES = 2 ** 24;

/** The first lines of a file; none of what is no file, such as a device or a pipe. */
async function firstLines(path: string | URL, count: number): Promise<string> {
  const { open, stat } = await import("node:fs/promises");
  const found = await stat(path);
  if (!found.isFile()) return "";
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(Math.min(found.size, MOST_BYTES)),
    });
    return buffer.toString("utf8", 0, bytesRead).split("\n", count).join("\n");
  } finally {
    await file.close();
  }
}

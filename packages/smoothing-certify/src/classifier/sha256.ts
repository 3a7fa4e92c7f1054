import { inNode } from "../in-node.ts";

/**
 * SHA-256 of the parts, one after the other, in hexadecimal: about a second for a gigabyte. Browsers offer
 * it in secure contexts only; elsewhere the result is "", and logs, which hold it, need Node anyway.
 */
export async function sha256(...parts: readonly (Uint8Array | string)[]): Promise<string> {
  if (inNode) {
    const { createHash } = await import("node:crypto");
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  }
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) return "";
  const whole = await new Blob(parts as BlobPart[]).arrayBuffer();
  const bytes = new Uint8Array(await subtle.digest("SHA-256", whole));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 of a file, read in pieces: only in Node. */
export async function sha256File(path: string): Promise<string> {
  const { createHash } = await import("node:crypto");
  const { createReadStream } = await import("node:fs");
  const hash = createHash("sha256");
  for await (const part of createReadStream(path)) hash.update(part as Uint8Array);
  return hash.digest("hex");
}

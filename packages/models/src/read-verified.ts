import { DmaeError } from "@dmae/core";
import type { ModelFile } from "./card.ts";

/**
 * The bytes of a shipped file, checked against its card.
 *
 * @throws DmaeError "file" for a file that is missing or differs from the one that was certified
 */
export async function readVerified(url: URL, file: ModelFile): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await read(url);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (sha256 === file.sha256) return bytes;
  throw new DmaeError(
    "file",
    `models: ${url.href} must have the SHA-256 ${file.sha256}, got ${sha256} (${bytes.length} bytes); reinstall @dmae/models`,
    { file: url.href },
  );
}

async function read(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (url.protocol === "file:") {
      const { readFile } = await import("node:fs/promises");
      return new Uint8Array(await readFile(url));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new DmaeError(
      "file",
      `models: cannot read ${url.href}: ${reason}`,
      { file: url.href },
      { cause },
    );
  }
}

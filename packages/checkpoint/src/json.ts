import { DmaeError } from "@dmae/core";
import { parseStrictJson } from "@dmae/core/checks";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Strict UTF-8; undefined where the bytes are not. @internal */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The JSON object in `bytes`; no key in it occurs twice. @internal */
export function parseJson(caller: string, bytes: Uint8Array): Record<string, unknown> {
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new DmaeError("file", `${caller}: the header is not UTF-8`);
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new DmaeError(
      "file",
      `${caller}: the header is damaged or not JSON: ${message}`,
      {},
      { cause },
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new DmaeError("file", `${caller}: the header must be a JSON object`);
  return value as Record<string, unknown>;
}

/** False where a string holds half of a surrogate pair, which UTF-8 cannot say. @internal */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

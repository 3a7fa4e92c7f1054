/** Formats that are decoded, and how their files begin; a point is any byte. */
const formats = [
  ["JPEG", ["\xff\xd8\xff"]],
  ["PNG", ["\x89PNG\r\n\x1a\n"]],
  ["WebP", ["RIFF....WEBP"]],
  ["TIFF", ["II*\0", "II+\0", "MM\0*", "MM\0+"]],
  ["GIF", ["GIF87a", "GIF89a"]],
] as const;

/** The format of an image by its first bytes, whatever its name; undefined for any other file. */
export function imageFormat(bytes: Uint8Array): (typeof formats)[number][0] | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  const begins = (pattern: string) =>
    pattern.length <= start.length &&
    [...pattern].every((character, i) => character === "." || character === start[i]);
  return formats.find(([, patterns]) => patterns.some(begins))?.[0];
}

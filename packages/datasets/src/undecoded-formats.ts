import { loadSharp } from "./load-sharp.ts";

/** Image formats that torchvision lists and Pillow decodes, but the prebuilt `sharp` does not. */
const undecoded = /\.(bmp|ppm|pgm)$/i;

const starts = [
  { name: "BMP", matches: /^BM/ },
  { name: "PPM or PGM", matches: /^P[1-6]\s/ },
];

/** What to do about an image that `sharp` did not decode, where its first bytes tell; else nothing. */
export function formatAdvice(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, 4));
  const format = starts.find(({ matches }) => matches.test(text));
  return format
    ? `; it is a ${format.name} file, which sharp does not decode: convert it to PNG, which loses nothing`
    : "";
}

/**
 * The ending of the files, if none of them can be decoded: all are of formats that this `sharp` lacks (one
 * built with ImageMagick has them).
 */
export async function undecodedEnding(files: readonly string[]): Promise<string | undefined> {
  if (files.length === 0 || !files.every((name) => undecoded.test(name))) return undefined;
  const sharp = await loadSharp("loadImageFolder").catch(() => undefined);
  const { magick, ppm } = sharp?.format ?? {};
  const decodes = (name: string) =>
    magick?.input.buffer || (ppm?.input.buffer && !/\.bmp$/i.test(name));
  return files.some(decodes) ? undefined : undecoded.exec(files[0]!)![0];
}

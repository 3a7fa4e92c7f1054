/** Image formats that torchvision lists and Pillow decodes, but the prebuilt `sharp` does not. */
const undecoded = /\.(bmp|ppm|pgm)$/i;

const starts = [
  { name: "BMP", matches: /^BM/ },
  { name: "PPM or PGM", matches: /^P[1-6]\s/ },
];

/** What to do about an image that is not decoded, where its first bytes tell; else nothing. */
export function formatAdvice(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, 4));
  const format = starts.find(({ matches }) => matches.test(text));
  return format
    ? `; it is a ${format.name} file, which sharp does not decode: convert it to PNG, which loses nothing`
    : "";
}

/** The ending of the files, if none of them can be decoded. */
export function undecodedEnding(files: readonly string[]): string | undefined {
  if (files.length === 0 || !files.every((name) => undecoded.test(name))) return undefined;
  return undecoded.exec(files[0]!)![0];
}

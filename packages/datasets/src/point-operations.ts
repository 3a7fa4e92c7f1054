import type { PixelImage } from "./pixels.ts";

/** Replaces every value by `table(channel)[value]`. */
function mapValues(image: PixelImage, table: (channel: number) => ArrayLike<number>): PixelImage {
  const { data, channels } = image;
  const out = new Uint8Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    const map = table(channel);
    for (let i = channel; i < data.length; i += channels) out[i] = map[data[i]!]!;
  }
  return { ...image, data: out };
}

const tableOf = (value: (level: number) => number) =>
  Uint8ClampedArray.from({ length: 256 }, (_, i) => value(i));

function histogram({ data, channels }: PixelImage, channel: number): Uint32Array {
  const counts = new Uint32Array(256);
  for (let i = channel; i < data.length; i += channels) counts[data[i]!]!++;
  return counts;
}

/** Stretches each channel to 0 … 255 (PIL `ImageOps.autocontrast`, no cut-off). */
export function autoContrast(image: PixelImage): PixelImage {
  return mapValues(image, (channel) => {
    const counts = histogram(image, channel);
    const low = counts.findIndex((count) => count > 0);
    const high = counts.findLastIndex((count) => count > 0);
    if (high <= low) return tableOf((level) => level);
    const scale = 255 / (high - low);
    const offset = -low * scale;
    return tableOf((level) => Math.trunc(level * scale + offset));
  });
}

/** Makes the histogram of each channel even (PIL `ImageOps.equalize`). */
export function equalize(image: PixelImage): PixelImage {
  return mapValues(image, (channel) => {
    const counts = histogram(image, channel);
    const used = counts.filter((count) => count > 0);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const step = Math.floor((total - used.at(-1)!) / 255);
    if (used.length <= 1 || step === 0) return tableOf((level) => level);
    let below = Math.floor(step / 2);
    return tableOf((level) => {
      const value = Math.floor(below / step);
      below += counts[level]!;
      return value;
    });
  });
}

/** `255 - value` (PIL `ImageOps.invert`). */
export function invert(image: PixelImage): PixelImage {
  const table = tableOf((level) => 255 - level);
  return mapValues(image, () => table);
}

/** Keeps the upper `bits` bits of every value, 0 … 8 (PIL `ImageOps.posterize`). */
export function posterize(image: PixelImage, bits: number): PixelImage {
  const mask = bits >= 8 ? 255 : 256 - 2 ** (8 - bits);
  const table = tableOf((level) => level & mask);
  return mapValues(image, () => table);
}

/** Inverts values of `threshold` and above (PIL `ImageOps.solarize`). */
export function solarize(image: PixelImage, threshold: number): PixelImage {
  const table = tableOf((level) => (level < threshold ? level : 255 - level));
  return mapValues(image, () => table);
}

/** Adds `amount` to values below 128, up to 255 (timm `solarize_add`). */
export function solarizeAdd(image: PixelImage, amount: number): PixelImage {
  const table = tableOf((level) => (level < 128 ? Math.min(255, level + amount) : level));
  return mapValues(image, () => table);
}

import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import { type DecodeLimits, type ImageLocation, limitNames } from "./dataset.ts";
import { readSlice, readWhole, reason, refuseStandIn } from "./files.ts";
import { toGrey } from "./grey.ts";
import { imageFormat } from "./image-format.ts";
import { loadSharp } from "./load-sharp.ts";
import type { LabeledPixels, PixelImage } from "./pixels.ts";
import { formatAdvice } from "./undecoded-formats.ts";

/** Seconds that one image may take; a photograph takes some thousandths. */
const maxSeconds = 60;

/** The limits that hold unless others are given. */
export const defaultLimits: DecodeLimits = { maxBytes: 2 ** 26, maxPixels: 2 ** 26 };

/**
 * Decodes an image file (JPEG, PNG, WebP, TIFF or GIF, told apart by its bytes) to red, green and blue bytes, as Pillow's `convert("RGB")` does:
 * grey is repeated, transparency and colour profiles are ignored, EXIF orientation too. Of 16-bit values the
 * upper byte is taken (`value >> 8`), in grey images too, where Pillow cuts what is above 255 to white. Anything
 * else is an error: BMP, PPM and PGM, which the prebuilt `sharp` lacks, and SVG and PDF, which are programs that can
 * compute for hours.
 *
 * @param name for messages
 * @throws DmaeError "file" for damaged or truncated images, "unsupported" without sharp
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  limits: Partial<DecodeLimits> = {},
): Promise<PixelImage> {
  checkOptions("decodeImage", limits, limitNames);
  const { maxPixels = defaultLimits.maxPixels } = limits;
  refuseStandIn("decodeImage", name, bytes);
  if (!imageFormat(bytes))
    throw new DmaeError(
      "file",
      `decodeImage: ${name} is not a readable image: it must be a JPEG, PNG, WebP, TIFF or GIF file${formatAdvice(bytes)}`,
      { file: name, received: `${bytes.length} bytes` },
    );
  const sharp = await loadSharp("decodeImage");
  try {
    const { data, info } = await sharp(bytes, {
      failOn: "error",
      ignoreIcc: true,
      limitInputPixels: maxPixels,
    })
      .toColourspace("srgb")
      .removeAlpha()
      .timeout({ seconds: maxSeconds })
      .raw()
      .toBuffer({ resolveWithObject: true });
    const pixels = new Uint8Array(data.buffer, data.byteOffset, data.length);
    return { data: pixels, height: info.height, width: info.width, channels: info.channels };
  } catch (cause) {
    throw new DmaeError(
      "file",
      `decodeImage: ${name} is not a readable image: ${reason(cause)}${formatAdvice(bytes)}`,
      { file: name, received: `${bytes.length} bytes` },
      { cause },
    );
  }
}

/** Reads and decodes the image at a location, with so many channels: 3, or 1 for grey. */
export async function decodeAt(
  location: ImageLocation,
  limits: DecodeLimits,
  channels: number,
): Promise<LabeledPixels> {
  const { file, offset, length, name, label } = location;
  const bytes =
    length < 0
      ? await readWhole("decodeImage", file, limits.maxBytes)
      : await readSlice("decodeImage", file, offset, length, limits.maxBytes);
  const image = await decodeImage(bytes, name, limits);
  return { ...(channels === 1 ? toGrey(image) : image), label };
}

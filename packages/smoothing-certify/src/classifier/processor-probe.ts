import { DmaeError } from "@dmae/core";
import type { ImageOptions } from "./image-source.ts";

/** A tensor of Transformers.js. */
export interface PixelTensor {
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
}

/** What one image of a single colour shows about an image processor. */
export interface Probed {
  /** Its first pixel as the model gets it, channel by channel. */
  readonly pixel: readonly number[];
  /** Height, width and channels of what the model gets. */
  readonly shape: readonly [height: number, width: number, channels: number];
  /** How it resizes and crops, as options of `image`. */
  readonly imageOptions: ImageOptions;
  /** The class of its tensors: models take no others. */
  readonly Tensor: new (
    type: "float32",
    data: Float32Array,
    dims: readonly number[],
  ) => PixelTensor;
}

/** The colour of the probe: three different channels, so that their order shows. */
export const PROBE: readonly number[] = [255, 102, 51];

/** Sides of the probe, of an unusual aspect, so that it shows whether that is kept. */
const [WIDTH, HEIGHT] = [1203, 571];

/**
 * Hands an image of one colour to a processor and looks at what it does with it. The image is no `RawImage`,
 * whose package would have to be installed here too, but has what processors use of one.
 */
export async function probeProcessor(
  process: (image: unknown) => Promise<{ readonly pixel_values: PixelTensor }>,
): Promise<Probed> {
  const seen: { resized?: [number, number]; cropped?: [number, number] } = {};
  const { pixel_values: tensor } = await process(colour(WIDTH, HEIGHT, seen));
  const [channels = 0, height = 0, width = 0] = tensor.dims.slice(1);
  if (tensor.dims.length !== 4 || ![1, 3].includes(channels))
    throw new DmaeError(
      "unsupported",
      `fromTransformers: the processor must make images [1, C, H, W] of 1 or 3 channels, got [${tensor.dims}]`,
    );
  const [wide = width, high = height] = seen.resized ?? [];
  const isAspectKept = Math.abs(wide - (high * WIDTH) / HEIGHT) <= WIDTH / HEIGHT;
  return {
    pixel: Array.from({ length: channels }, (_, c) => tensor.data[c * height * width]!),
    shape: [height, width, channels],
    imageOptions: {
      size: isAspectKept ? Math.min(wide, high) : [high, wide],
      ...(height === width && (isAspectKept || seen.cropped) && { crop: height }),
      channels: channels as 1 | 3,
    },
    Tensor: tensor.constructor as Probed["Tensor"],
  };
}

/** An image of the probe's colour that takes down how it is resized and cropped. */
function colour(
  width: number,
  height: number,
  seen: { resized?: [number, number]; cropped?: [number, number] },
  channels: number = PROBE.length,
): object {
  const data = new Uint8ClampedArray(width * height * channels);
  for (let i = 0; i < data.length; i++) data[i] = PROBE[i % channels]!;
  const again = (w: number, h: number) => colour(w, h, seen, channels);
  return {
    ...{ data, width, height, channels, size: [width, height] },
    rgb: () => colour(width, height, seen),
    grayscale: () => colour(width, height, seen, 1),
    clone: () => again(width, height),
    async resize(w: number, h: number) {
      seen.resized = [w, h];
      return again(w, h);
    },
    async center_crop(w: number, h: number) {
      seen.cropped = [w, h];
      return again(w, h);
    },
  };
}

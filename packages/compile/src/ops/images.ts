import { backend_util } from "@tensorflow/tfjs-core";
import { concat, gather, reshape, slice } from "../graph/build.ts";
import { allocate, type Graph, type Value } from "../graph/graph.ts";
import { cropping } from "./crop.ts";
import type { KernelAttributes, Kernels } from "./register.ts";

function flipLeftRight(g: Graph, image: Value): Value {
  const begin = image.shape.map((d, i) => (i === 2 ? d - 1 : 0));
  return slice(g, image, begin, image.shape, [1, 1, -1, 1]);
}

/** For every pixel of the result the pixel of the image, or the one behind the last for the filling. */
function rotation(
  height: number,
  width: number,
  { radians, center }: KernelAttributes,
): Int32Array {
  const [centerX, centerY] = backend_util.getImageCenter(center, height, width);
  const [sine, cosine] = [Math.sin(radians), Math.cos(radians)];
  return Int32Array.from({ length: height * width }, (_, i) => {
    const [x, y] = [(i % width) - centerX, Math.floor(i / width) - centerY];
    const column = Math.round(x * cosine - y * sine + centerX);
    const row = Math.round(x * sine + y * cosine + centerY);
    const inside = column >= 0 && column < width && row >= 0 && row < height;
    return inside ? row * width + column : height * width;
  });
}

/** Rotates by a fixed angle, to the nearest pixel. */
function rotate(g: Graph, image: Value, attrs: KernelAttributes): Value {
  const [batch, height, width, channels] = image.shape as [number, number, number, number];
  const { fillValue } = attrs as { fillValue: number | number[] };
  const color = (channel: number) => {
    if (typeof fillValue === "number") return fillValue;
    return channel === 3 ? 255 : fillValue[channel]!;
  };
  const filling = allocate(image.dtype, batch * channels);
  for (let i = 0; i < filling.length; i++) filling[i] = color(i % channels);
  const table = concat(
    g,
    [
      reshape(g, image, [batch, height * width, channels]),
      g.constant(image.dtype, [batch, 1, channels], filling),
    ],
    1,
  );
  const indices = g.constant("int32", [height * width], rotation(height, width, attrs));
  return reshape(g, gather(g, table, indices, 1), image.shape);
}

/** Images as wholes. */
export const images: Kernels = {
  FlipLeftRight: (g, { image }) => flipLeftRight(g, image!),
  ...cropping,
  RotateWithOffset: (g, { image }, attrs) => rotate(g, image!, attrs),
};

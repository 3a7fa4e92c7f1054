/** Half the step between two of 256 levels. */
const half = 0.5 / 255;

/** The first element whose nearest level is none of the 256 in [0, 1]: such an image was not scaled. -1 for none. */
export function outsideUnit(image: ArrayLike<number>): number {
  for (let i = 0; i < image.length; i++) if (!(image[i]! > -half && image[i]! < 1 + half)) return i;
  return -1;
}

/** 20 images of one pixel, `i / 20`, of class 1 but for the first three. */
export default (split) => ({
  name: `steps/${split}`,
  length: 20,
  imageShape: [1, 1, 1],
  numClasses: 2,
  get: (i) => ({ image: Float32Array.of(i / 20), label: i < 3 ? 0 : 1 }),
});

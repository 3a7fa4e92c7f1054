/** Locations of the four original gzip IDX files of Fashion-MNIST (Xiao et al. 2017, MIT licence). */
export const files = {
  /** 60,000 training images, 28x28. */
  trainImages: new URL("../data/train-images-idx3-ubyte.gz", import.meta.url),
  /** 60,000 training labels. */
  trainLabels: new URL("../data/train-labels-idx1-ubyte.gz", import.meta.url),
  /** 10,000 test images. */
  testImages: new URL("../data/t10k-images-idx3-ubyte.gz", import.meta.url),
  /** 10,000 test labels. */
  testLabels: new URL("../data/t10k-labels-idx1-ubyte.gz", import.meta.url),
} as const;

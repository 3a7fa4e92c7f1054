import { certify } from "@dmae/smoothing-certify";

// Your classifier: n images of two pixels come in one array, n class ids (or n rows of logits) go out.
const classify = (images: Float32Array, [n]: number[]) =>
  Array.from({ length: n! }, (_, i) => (images[2 * i]! > images[2 * i + 1]! ? 1 : 0));

const { prediction, radius } = await certify(classify, [0.9, 0.3], { sigma: 0.25, numClasses: 2 });
console.log(prediction, radius); // class 1, with a radius of 0.40

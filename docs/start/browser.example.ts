import { certify, fromOnnx, image } from "@dmae/smoothing-certify";

const classifier = await fromOnnx("/model.onnx", {
  mean: [0.49, 0.48, 0.45],
  std: [0.25, 0.24, 0.26],
});
const pixels = await image(document.querySelector("canvas")!, { size: 32 });
const { prediction, radius } = await certify(classifier, pixels, { sigma: 0.25, n: 1000 });
document.querySelector("output")!.textContent = `class ${prediction}, radius ${radius.toFixed(2)}`;

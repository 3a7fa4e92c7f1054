import { certify, fromOnnx, image } from "@dmae/smoothing-certify";

const classifier = await fromOnnx("model.onnx", {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
});
const photo = await image("cat.jpg", { size: 224 });
const { prediction, radius } = await certify(classifier, photo, { sigma: 0.25, n: 1000 });
console.log(prediction, radius);

import { fashionMnist } from "@dmae/datasets";
import { pretrained } from "@dmae/models";
import { certify } from "@dmae/smoothing-certify";

const classifier = await pretrained("fashion-mnist-cr-0.25");
const { test } = await fashionMnist();
const { image, label } = test.get(0);
const image28 = { data: image, shape: test.imageShape }; // [28, 28, 1], values in [0, 1]
const { prediction, radius } = await certify(classifier, image28, {
  sigma: 0.25,
  n: 1000,
  seed: 0,
});
console.log(classifier.card.classNames[label], prediction === label, radius.toFixed(3)); // Ankle boot true 0.616

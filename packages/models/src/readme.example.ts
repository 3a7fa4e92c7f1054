import { fashionMnist } from "@dmae/datasets";
import { pretrained } from "@dmae/models";
import { certify } from "@dmae/smoothing-certify";

const classifier = await pretrained("fashion-mnist-cr-0.25"); // comes with the package
const { test } = await fashionMnist();
const { image, label } = test.get(0);
const { prediction, radius } = await certify(classifier, image, { sigma: 0.25 });
console.log(classifier.card.classNames[prediction], prediction === label, radius); // Ankle boot true ~0.77

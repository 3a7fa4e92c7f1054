import { pretrained } from "@dmae/models";
import { certify, image } from "@dmae/smoothing-certify";

const classifier = await pretrained("fashion-mnist-cr-0.25");
const picture = await image("shoe.jpg", { size: 28, channels: 1 }); // light on dark, as in Fashion-MNIST
const { prediction, radius } = await certify(classifier, picture, { sigma: 0.25 });
console.log(prediction < 0 ? "abstains" : classifier.card.classNames[prediction], radius);

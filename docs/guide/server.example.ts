import { fashionMnist } from "@dmae/datasets";
import { pretrained } from "@dmae/models";
import { createCertifier } from "@dmae/smoothing-certify";

const classifier = await pretrained("fashion-mnist-cr-0.25"); // or your own
const certifier = await createCertifier(classifier, {
  sigma: 0.25,
  shape: [28, 28, 1],
  maxSamples: 1000,
  maxRequests: 256,
});

const { image } = (await fashionMnist()).test.get(0);
const { prediction, radius } = await certifier.certify(image, { deadline: 200 }); // milliseconds
console.log(prediction, radius);
for await (const { radius } of certifier.stream(image)) console.log(radius); // grows

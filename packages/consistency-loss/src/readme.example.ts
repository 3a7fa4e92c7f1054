import { consistencyLoss } from "@dmae/consistency-loss";
import { selectBackend, softmaxCrossEntropy, valueAndGradients } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto");

const x = tf.tensor2d([[1, 2]]); // one image, two pixels, class 0 of two
const noise = [tf.tensor2d([[0.3, -0.1]]), tf.tensor2d([[-0.2, 0.4]])]; // its noisy copies
const label = tf.tensor2d([[1, 0]]);

const { loss, gradients } = valueAndGradients(
  ({ weight }) => {
    const logits = noise.map((n) => tf.matMul(tf.add(x, n), weight!)); // m = 2 tensors [B, C]
    const [first, second] = logits.map((z) => tf.mean(softmaxCrossEntropy(z, label)));
    const natural = tf.div(tf.add(first!, second!), 2);
    return { loss: tf.add(natural, consistencyLoss(logits, { lambda: 2, mu: 0.5 })) };
  },
  {
    weight: tf.tensor2d([
      [0.1, -0.2],
      [0.3, 0.4],
    ]),
  },
);
console.log(loss.dataSync()[0], gradients.weight!.dataSync());

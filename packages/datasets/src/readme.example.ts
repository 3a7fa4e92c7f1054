import { key } from "@dmae/core";
import { batches, everyNth, fashionMnist } from "@dmae/datasets";
import { randomHorizontalFlip } from "@dmae/datasets/transforms";

const { train, test } = await fashionMnist();
console.log(train.length, train.imageShape, train.classNames?.[train.get(0).label]);

const options = {
  batchSize: 128,
  shuffle: true,
  key: key(0), // the order and every draw below are functions of this key
  transform: [randomHorizontalFlip()],
};
for await (const { images, labels, size } of batches(train, { ...options, epoch: 0 })) {
  console.log(images.length / size, labels.length); // float32 in [0, 1], [size, 28, 28, 1]
  break;
}

const certified = everyNth(test, 50); // images 0, 50, 100, …
console.log(certified.length);

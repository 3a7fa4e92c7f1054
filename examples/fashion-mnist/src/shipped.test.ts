import { everyNth, fashionMnist } from "@dmae/datasets";
import { prepareClassifier } from "@dmae/finetune";
import { type ModelName, modelCards, pretrained } from "@dmae/models";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { createViT } from "@dmae/vit";
import { beforeAll, expect, it } from "vitest";
import "@tensorflow/tfjs-backend-cpu";

beforeAll(() => selectBackend("cpu"));

it.each(modelCards.map(({ name }) => name))(
  "%s has the parameters of its int8 classifier",
  async (name: ModelName) => {
    const classifier = await pretrained(name);
    const vit = createViT(classifier.card.training.finetuning.model);
    const executor = eagerExecutor();
    const float = prepareClassifier(vit, await classifier.parameters(), {
      executor,
      batchSize: 16,
    });
    const images = everyNth((await fashionMnist()).test, 625);
    const batch = Float32Array.from(
      { length: 16 * 784 },
      (_, i) => images.get(Math.floor(i / 784)).image[i % 784]!,
    );
    const want = await float.predict(batch);
    const { data } = (await classifier.predict(batch, [16, 28, 28, 1])) as typeof want;
    // An int8 logit is a few hundredths off; those of another model are whole units off.
    for (const [i, logit] of want.data.entries())
      expect(Math.abs(data[i]! - logit)).toBeLessThan(0.3);
    await Promise.all([float.dispose(), classifier.dispose()]);
  },
);

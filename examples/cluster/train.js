// Pre-trains, fine-tunes and certifies a small DMAE on Fashion-MNIST, on all ranks that a launcher started:
//   mpirun -n 4 node train.js runs/fashion
// Started again, it goes on where it was. It needs: npm install @dmae/distributed @dmae/datasets @dmae/fashion-mnist
//   @dmae/pretrain @dmae/finetune @dmae/smoothing-certify @dmae/vit @tensorflow/tfjs-core @tensorflow/tfjs-backend-cpu
//   onnxruntime-node
import "@tensorflow/tfjs-backend-cpu";
import process from "node:process";
import { fashionMnist, take } from "@dmae/datasets";
import { world } from "@dmae/distributed";
import { finetuneRecipe, robustFinetune } from "@dmae/finetune";
import { pretrain, pretrainRecipe } from "@dmae/pretrain";
import { certifyDataset } from "@dmae/smoothing-certify";
import { tiny } from "@dmae/vit";

const [folder = "runs/fashion", images = "60000", epochs = "50"] = process.argv.slice(2);
const ranks = await world();
const { train: all, test } = await fashionMnist();
const train = take(all, Number(images));
const model = tiny(train);
const say =
  (stage) =>
  ({ step, steps, metrics }) => {
    if (ranks.rank === 0 && (step % 50 === 0 || step === steps))
      console.log(`${stage} ${step}/${steps} loss ${metrics.loss.toFixed(4)}`);
  };

const { encoder } = await pretrain(
  pretrainRecipe({ model, epochs: Number(epochs), batchSize: 128 }),
  train,
  { world: ranks, folder: `${folder}/pretrain`, onProgress: say("pretrain") },
);
const tuned = await robustFinetune(
  finetuneRecipe({ model, epochs: Math.ceil(Number(epochs) / 2), batchSize: 128 }),
  train,
  { world: ranks, folder: `${folder}/finetune`, pretrained: encoder, onProgress: say("finetune") },
);

const options = { sigma: 0.25, n: 1000, skip: 50, seed: 0 };
const log = `${folder}/sigma-0.25.tsv`; // of all ranks, in a folder that all machines see
const rows = certifyDataset(tuned.classifier(), test, { ...options, log, world: ranks });
for await (const { idx, correct, radius } of rows)
  console.log(`rank ${ranks.rank}: image ${idx} ${correct ? `radius ${radius}` : "wrong"}`);
process.exit(0);

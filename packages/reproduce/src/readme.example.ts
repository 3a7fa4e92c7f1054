import { finetuneRecipes } from "@dmae/finetune";
import { type Recipe, reproduce } from "@dmae/reproduce";

const recipe: Recipe = {
  name: "my-cr-0.25",
  paper: "DMAE ViT-B on CIFAR-10, consistency regularisation, sigma 0.25",
  dataset: "cifar10",
  task: "finetune",
  startsFrom: "dmae-vit-b-imagenet-pretrain", // give its result with --from
  training: finetuneRecipes["dmae-vit-b-cifar10-cr-0.25"],
  evaluation: { images: null, votes: 100, voteEvery: 25 },
  certification: {
    sigmas: [0.25],
    n0: 100,
    n: 100_000,
    alpha: 0.001,
    every: 1,
    skipWrongGuess: false,
    batchSize: 100,
    radii: [0, 0.25, 0.5, 0.75, 1],
  },
  published: [], // rows of the paper, for the report
};

// --smoke runs every stage with a tiny model on generated images, in seconds.
await reproduce({ name: "mine", recipes: { [recipe.name]: recipe }, runs: "runs" }, [
  "--recipe",
  recipe.name,
  "--smoke",
]);

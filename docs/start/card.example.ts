import { loadImageFolder } from "@dmae/datasets";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { pretrain, pretrainRecipe } from "@dmae/pretrain";
import { tiny } from "@dmae/vit";

// "auto" measures every backend that is installed and takes the fastest; "tensorflow" insists.
await selectBackend("auto", { onReport: ({ reason }) => console.log(reason) });

const images = await loadImageFolder("photos", { size: 32 });
const recipe = pretrainRecipe({ model: tiny(images), epochs: 2 });
const { metrics } = await pretrain(recipe, images, { executor: eagerExecutor() });
console.log(metrics.loss);

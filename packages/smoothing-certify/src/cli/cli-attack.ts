import { attack } from "../procedures/attack/attack.ts";
import type { AttackNorm } from "../procedures/attack/perturbation.ts";
import type { Arguments } from "./cli-arguments.ts";
import { headerOf, printImages } from "./cli-images.ts";
import { relabelled } from "./cli-labels.ts";
import { withModel } from "./cli-load.ts";
import type { Streams } from "./cli-rows.ts";
import { samplingOf, seedOf } from "./cli-settings.ts";

/** Runs `attack`: a line for each image, `radius` being `Infinity` where nothing was found. */
export function runAttack(args: Arguments, io: Streams): Promise<void> {
  return withModel(args, async (model, found) => {
    const dataset = await relabelled(found, model, args);
    const { numClasses, imageShape: shape } = dataset;
    const seed = await seedOf(args);
    const options = {
      sigma: args.needed("sigma"),
      ...args.pick("radius", "steps", "rounds", "samples", "n", "alpha", "range"),
      ...(args.pick("norm") as { norm?: AttackNorm }),
      ...samplingOf(args, io),
      ...{ numClasses, shape, seed },
    };
    await io.out(headerOf(["label", "predict", "adversarial", "radius", "samples"]));
    const images = { command: "attack", dataset, args, seed };
    await printImages(images, io, async ({ image, label, index }) => {
      const result = await attack(model.classifier, image, { ...options, index });
      return [label, result.prediction, result.adversarial, result.radius, result.drawn];
    });
  });
}

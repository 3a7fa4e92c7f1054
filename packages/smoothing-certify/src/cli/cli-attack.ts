import type { Range } from "../classifier/range.ts";
import { formatSeed } from "../noise/fresh-seed.ts";
import { attack } from "../procedures/attack/attack.ts";
import type { AttackNorm } from "../procedures/attack/perturbation.ts";
import { readItem, selectIndices } from "../run/dataset-selection.ts";
import type { Arguments } from "./cli-arguments.ts";
import { relabelled } from "./cli-labels.ts";
import { loadData, loadModel } from "./cli-load.ts";
import type { Streams } from "./cli-rows.ts";
import { batchesOf, given, seedOf, selectionOf } from "./cli-run.ts";

/** Runs `attack`: a line for each image, `radius` being `Infinity` where nothing was found. */
export async function runAttack(args: Arguments, io: Streams): Promise<void> {
  for (const name of ["model", "data", "sigma"] as const) args.needed(name);
  const found = await loadData(args);
  const model = await loadModel(args);
  try {
    const dataset = await relabelled(found, model, args);
    const { numClasses, imageShape: shape } = dataset;
    const seed = await seedOf(args);
    const options = given({
      sigma: args.number("sigma")!,
      ...{ numClasses, shape, seed },
      norm: args.text("norm") as AttackNorm | undefined,
      radius: args.number("radius"),
      steps: args.number("steps"),
      rounds: args.number("rounds"),
      samples: args.number("samples"),
      n: args.number("n"),
      alpha: args.number("alpha"),
      range: args.numbers("range") as Range | undefined,
      randomized: args.on("randomized"),
      ...batchesOf(args),
      signal: io.signal,
    });
    const indices = selectIndices("attack", dataset, selectionOf(args));
    await io.out("idx\tlabel\tpredict\tadversarial\tradius\tsamples\tseed\n");
    for (const index of indices) {
      const { image, label } = await readItem("attack", dataset, index);
      const { prediction, adversarial, radius, drawn } = await attack(model.classifier, image, {
        ...options,
        index,
      });
      const row = [index, label, prediction, adversarial, radius, drawn, formatSeed(seed)];
      await io.out(`${row.join("\t")}\n`);
    }
  } finally {
    await model.dispose();
  }
}

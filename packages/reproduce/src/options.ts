import { availableParallelism } from "node:os";
import { DmaeError } from "@dmae/core";
import { nearestNames } from "@dmae/core/checks";
import { parseShard, type Shard, shardFromEnvironment } from "@dmae/smoothing-certify/log";
import { commandLine, wholeNumber } from "./command-line.ts";
import { type Precision, precisionOf } from "./precision.ts";
import { type Recipe, type Stage, stagesOf } from "./recipe.ts";

/** What the command line says. */
export interface Options {
  /** Recipe by name; undefined with `list`. */
  readonly recipe: string | undefined;
  /** `field=value` settings. */
  readonly set: readonly string[];
  /** Folder of the images. */
  readonly data: string | undefined;
  /** Checkpoint, `model.safetensors` or run folder to begin with. */
  readonly from: string | undefined;
  /** Soft labels in a file, or the run folder of the classifier that makes them. */
  readonly softLabels: string | undefined;
  /** Run folder. */
  readonly folder: string | undefined;
  /** Stages to run; undefined for all of the recipe. */
  readonly stages: readonly string[] | undefined;
  /** Backend, see `executorOf`. */
  readonly backend: string;
  /** What products and attention are computed in. */
  readonly precision: Precision;
  /** Threads that decode, augment and draw noise. */
  readonly workers: number;
  /** Every random draw follows from it. */
  readonly seed: number;
  /** How many seeds are run, from `seed` on. */
  readonly seeds: number;
  /** Part of the certification. */
  readonly shard: Shard | undefined;
  /** Epochs between two checkpoints. */
  readonly checkpointEvery: number;
  /** Epochs between two checkpoints that are kept. */
  readonly keepEvery: number | undefined;
  /** Certification logs of other runs, drawn beside this one in the report. */
  readonly compare: readonly string[];
  /** Fetches images and checkpoint where they are not named. */
  readonly download: boolean;
  /** Tiny model, few images. */
  readonly smoke: boolean;
  /** Prints the plan only. */
  readonly dryRun: boolean;
  /** Measures a step for the plan. */
  readonly measure: boolean;
  /** Prints the names of the recipes. */
  readonly list: boolean;
  /** Prints the help. */
  readonly help: boolean;
}

/** The help text of an example. */
export const helpText = (
  example: string,
) => `npm start -- --recipe NAME --data DIR [options]      (in examples/${example})

Trains, evaluates and certifies one row of the paper. Interrupted and started again with the same options, it goes on
where it was and ends with the same bits.

  --list                 names of the recipes
  --recipe NAME          the row to run; without --data or with --dry-run, what it consists of
  --set field=value      changes a field, e.g. --set epochs=1 --set model.depth=2; as often as needed
  --data DIR             class folders in train/ and val/, tar shards in train/ and val/, or CIFAR's binary files
  --from FILE|RUN        what to begin with: an official .pth, a .safetensors file, or the run folder of another recipe
  --soft-labels FILE|RUN what CAT-RS needs besides: the run folder of a classifier that is trained on the same images, which
                         answers 100 noisy copies of each once, or a .safetensors file with softLabels [images, classes]
  --download             fetches the images and the checkpoint to begin with into the cache folder (DMAE_CACHE), resumed and
                         verified, where --data and --from do not name them; says where to get what needs a browser.
                         Without --recipe: fetches for all recipes, and runs none
  --folder DIR           run folder (default: runs/NAME)
  --stage a,b            some stages only: pretrain, continue, finetune, probe, evaluate, certify, report
  --backend compiled     compiled[:cuda|:webgpu] (one ONNX graph), tfjs-node-gpu, tfjs-node, webgpu, wasm, cpu
  --precision float32    float32, bfloat16 or float16 (compiled backends): what products and attention are computed in, in
                         training, evaluation and certification alike
  --workers N            threads that decode, augment and draw noise (default: all cores but one)
  --seed 0               every random draw follows from it
  --seeds N              runs the recipe N times, with seeds from --seed on, and averages the certified accuracy
  --shard i/n            certifies every n-th image from the i-th; also read from Kubernetes and SLURM job arrays
  --checkpoint-every E   epochs between checkpoints (default 1; less than 1 is possible)
  --keep-every E         epochs between checkpoints that are kept
  --compare DIR          folder of a run, or of its --seeds, whose certified accuracy the report shows as well; as often as
                         needed
  --smoke                the same code on a tiny model and a few images, in seconds
  --dry-run              the plan: steps, batch, learning rate, memory, and time from a step measured here
  --no-measure           no measured step in the plan

convert --from DIR --to DIR [--as shards|binary] [--side 32]   rewrites a data folder as tar shards or as CIFAR-10's files`;

/** Reads the command line of an example. */
export function readOptions(args: readonly string[]): Options {
  const values = commandLine(flags, args);
  const workers = wholeNumber(
    "workers",
    values.workers ?? String(Math.max(1, availableParallelism() - 1)),
    0,
  );
  return {
    recipe: values.recipe,
    set: values.set ?? [],
    data: values.data,
    from: values.from,
    softLabels: values["soft-labels"],
    folder: values.folder,
    stages: values.stage?.split(",").map((stage) => stage.trim()),
    precision: precisionOf(values.precision),
    backend: values.backend ?? "compiled",
    workers: values.smoke && values.workers === undefined ? 0 : workers,
    seed: wholeNumber("seed", values.seed ?? "0", 0),
    seeds: wholeNumber("seeds", values.seeds ?? "1", 1),
    shard: values.shard === undefined ? shardFromEnvironment() : parseShard(values.shard),
    checkpointEvery: positive("checkpoint-every", values["checkpoint-every"] ?? "1"),
    keepEvery:
      values["keep-every"] === undefined ? undefined : positive("keep-every", values["keep-every"]),
    compare: values.compare ?? [],
    download: values.download ?? false,
    smoke: values.smoke ?? false,
    dryRun: values["dry-run"] ?? false,
    measure: !values["no-measure"],
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

/** The recipe of that name. */
export function findRecipe(recipes: Readonly<Record<string, Recipe>>, name: string): Recipe {
  const recipe = Object.hasOwn(recipes, name) ? recipes[name] : undefined;
  if (recipe) return recipe;
  const near = nearestNames(name, Object.keys(recipes)).join(", ");
  throw new DmaeError(
    "argument",
    `--recipe: there is no ${name}; the nearest are ${near}; --list names all`,
  );
}

/** The stages asked for, in the recipe's order. */
export function chosenStages(
  recipe: Recipe,
  names: readonly string[] | undefined,
): readonly Stage[] {
  const all = stagesOf(recipe);
  if (names === undefined) return all;
  const unknown = names.find((name) => !all.includes(name as Stage));
  if (unknown !== undefined)
    throw new DmaeError(
      "argument",
      `--stage: ${recipe.name} has ${all.join(", ")}, got ${unknown}`,
    );
  return all.filter((stage) => names.includes(stage));
}

const flags = {
  recipe: { type: "string" },
  set: { type: "string", multiple: true },
  data: { type: "string" },
  from: { type: "string" },
  "soft-labels": { type: "string" },
  folder: { type: "string" },
  stage: { type: "string" },
  backend: { type: "string" },
  precision: { type: "string" },
  workers: { type: "string" },
  seed: { type: "string" },
  seeds: { type: "string" },
  shard: { type: "string" },
  "checkpoint-every": { type: "string" },
  "keep-every": { type: "string" },
  compare: { type: "string", multiple: true },
  download: { type: "boolean" },
  smoke: { type: "boolean" },
  "dry-run": { type: "boolean" },
  "no-measure": { type: "boolean" },
  list: { type: "boolean" },
  help: { type: "boolean" },
} as const;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new DmaeError("argument", `--${name}: must be a positive number, got ${text}`);
}

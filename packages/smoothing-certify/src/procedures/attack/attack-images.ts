import type { ImageDataset } from "@dmae/core";
import { DmaeError } from "@dmae/core";
import { show } from "../../checks.ts";
import type { Classifier, PreparedClassifier } from "../../classifier/classifier.ts";
import type { LogRow } from "../../log/log-row.ts";
import type { NoiseSource } from "../../noise/noise-source.ts";
import type { Inspected } from "../../run/run-dataset.ts";
import type { Norm } from "../../statistics/noises-and-norms.ts";
import { ABSTAIN } from "../../statistics/radius.ts";
import { type AttackOptions, type AttackSettings, attack, checkSearch } from "./attack.ts";

/** What the attack shares with the run. */
interface AttackedRun
  extends Pick<
    AttackOptions,
    "sigma" | "range" | "input" | "numClasses" | "randomized" | "signal" | "batchSize"
  > {
  readonly norm?: Norm | undefined;
  readonly distribution?: string | undefined;
  readonly sound?: boolean | undefined;
  readonly noise?: NoiseSource | undefined;
}

/** Throws for settings that no attack takes, or a run whose radii an attack cannot be measured against. */
export function checkAttackSettings(
  caller: string,
  settings: AttackSettings,
  { norm, noise, ...run }: AttackedRun,
): void {
  const { distribution = noise?.drawnWith?.distribution ?? "gaussian" } = run;
  const sound = run.sound || noise?.totalVariation !== undefined;
  checkSearch(`${caller}: attack`, { ...settings, norm: norm === "linf" ? norm : "l2" });
  if (norm !== "l1" && distribution === "gaussian" && !sound) return;
  throw new DmaeError(
    "argument",
    `${caller}: attack is there for l2 and linf and ordinary Gaussian noise, got norm ${show(norm ?? "l2")}, distribution ${show(distribution)}, sound ${sound}; leave attack out`,
  );
}

/** What a log keeps of the settings. */
export function attackName(settings: AttackSettings) {
  const {
    radius,
    gradient,
    steps = 10,
    rounds = 4,
    samples = 256,
    n = 10_000,
    alpha = 0.001,
  } = settings;
  const reach = radius === undefined ? "" : ` to ${radius}`;
  const along = gradient ? "a gradient" : "votes";
  return {
    attack: `${rounds} descents${reach} of ${steps} steps along ${along}, ${samples} samples, PREDICT with ${n}`,
    attackAlpha: alpha,
  };
}

/** Attacks an image of a run, with noise of its own from the run's seed. */
export async function attackImage(
  classifier: Classifier,
  dataset: ImageDataset,
  { index, image, label, prepared, seed }: Inspected,
  settings: AttackSettings,
  run: AttackedRun,
): Promise<Required<Pick<LogRow, "attacked" | "clean">>> {
  const { sigma, range, input, randomized, signal, batchSize, norm } = run;
  const shape = dataset.imageShape;
  const found = await attack(
    classifier,
    { data: image, shape },
    {
      ...settings,
      ...{ sigma, range, input, randomized, signal, batchSize, seed, index },
      norm: norm === "linf" ? norm : "l2",
      numClasses: run.numClasses ?? dataset.numClasses,
      checkRows: false, // the run checks them
    },
  );
  const wrong = found.prediction !== ABSTAIN && found.prediction !== label;
  const clean = (await cleanClass(prepared, image, shape)) === label ? 1 : 0;
  return { attacked: wrong ? 0 : found.radius, clean };
}

/** The class of an image without noise. */
async function cleanClass(
  { classify, traits }: PreparedClassifier,
  image: ArrayLike<number>,
  shape: readonly number[],
): Promise<number> {
  const rows = traits.fixedBatchSize ?? 1;
  const batch = new Float32Array(rows * image.length);
  for (let row = 0; row < rows; row++) batch.set(image, row * image.length);
  const { classes } = await classify(batch, [rows, ...shape]);
  return classes[0]!;
}

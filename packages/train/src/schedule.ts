import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";

/** Options of {@link cosineSchedule}; durations in epochs, as in the official scripts. */
export interface CosineScheduleOptions {
  /** Highest learning rate, reached at the end of the warm-up. */
  readonly learningRate: number;
  /** Learning rate at the end; default 0. */
  readonly minLearningRate?: number | undefined;
  /** Epochs of linear warm-up from 0; default 0. */
  readonly warmupEpochs?: number | undefined;
  /** All epochs, the warm-up among them. */
  readonly epochs: number;
}

/**
 * Linear warm-up, then half a cosine, in fractional epochs: `lr * e / warmup` while `e < warmup`, then
 * `min + (lr - min) / 2 * (1 + cos(pi (e - warmup) / (epochs - warmup)))` (MAE and DMAE, `lr_sched`).
 * The first step of a run with a warm-up has learning rate 0. Float64.
 *
 * @example
 * const schedule = cosineSchedule({ learningRate: 2.4e-3, warmupEpochs: 40, epochs: 1100 });
 * schedule(20); // 1.2e-3
 */
export function cosineSchedule(options: CosineScheduleOptions): (epoch: number) => number {
  checkOptions("cosineSchedule", options, {
    learningRate: true,
    minLearningRate: true,
    warmupEpochs: true,
    epochs: true,
  });
  const { learningRate, minLearningRate = 0, warmupEpochs = 0, epochs } = options;
  if (!(epochs > 0))
    throw new DmaeError("argument", `cosineSchedule: epochs must be positive, got ${epochs}`);
  if (!(warmupEpochs >= 0 && warmupEpochs <= epochs))
    throw new DmaeError(
      "argument",
      `cosineSchedule: warmupEpochs must lie in [0, epochs = ${epochs}], got ${warmupEpochs}`,
    );
  if (!(learningRate >= 0 && minLearningRate >= 0))
    throw new DmaeError(
      "argument",
      `cosineSchedule: learning rates must not be negative, got ${learningRate} and ${minLearningRate}`,
    );
  if (!(Number.isFinite(learningRate) && Number.isFinite(minLearningRate)))
    throw new DmaeError(
      "argument",
      `cosineSchedule: learning rates must be finite, got ${learningRate} and ${minLearningRate}`,
    );
  return (epoch) => {
    if (epoch < warmupEpochs) return (learningRate * epoch) / warmupEpochs;
    // in the order of the official formula: near the end the sum below cancels to its last digits
    const angle = (Math.PI * (epoch - warmupEpochs)) / (epochs - warmupEpochs || 1);
    return minLearningRate + (learningRate - minLearningRate) * 0.5 * (1 + Math.cos(angle));
  };
}

/** Options of {@link stepSchedule}. */
export interface StepScheduleOptions {
  /** Learning rate of the first epochs. */
  readonly learningRate: number;
  /** Epochs between two drops. */
  readonly stepSize: number;
  /** Factor of each drop; default 0.1. */
  readonly gamma?: number | undefined;
  /**
   * When the loop steps its scheduler with the number of the epoch: `"start"` (default) drops in epochs `stepSize`,
   * `2 stepSize`, …; `"end"` one epoch later, as the official code of SmoothMix, CAT-RS and MACER does.
   */
  readonly steppedAt?: "start" | "end" | undefined;
  /**
   * One epoch, counted from 0, whose rate is multiplied by `gamma` once more; null for none, the default. This is what
   * `--lr_drop` of the official CAT-RS does: its scheduler sets the rate anew at the end of that epoch.
   */
  readonly dipInEpoch?: number | null | undefined;
}

/**
 * A learning rate that drops by a factor every `stepSize` epochs, `lr * gamma ** floor(e / stepSize)` in epoch e from 0
 * (`StepLR` of PyTorch), or `lr * gamma ** floor((e - 1) / stepSize)` with `steppedAt: "end"`; in the epoch
 * `dipInEpoch` times `gamma` again. Float64.
 *
 * @throws DmaeError "argument" for a value outside its range
 * @example
 * const schedule = stepSchedule({ learningRate: 0.01, stepSize: 30, steppedAt: "end" });
 * schedule(30.9); // 0.01
 * schedule(31); // 0.001
 */
export function stepSchedule(options: StepScheduleOptions): (epoch: number) => number {
  checkOptions("stepSchedule", options, {
    learningRate: true,
    stepSize: true,
    gamma: true,
    steppedAt: true,
    dipInEpoch: true,
  });
  const { learningRate, stepSize, gamma = 0.1, steppedAt = "start", dipInEpoch = null } = options;
  for (const [name, value] of Object.entries({ learningRate, gamma }))
    if (!(value >= 0 && Number.isFinite(value)))
      throw new DmaeError("argument", `stepSchedule: ${name} must be 0 or more, got ${value}`);
  if (!Number.isInteger(stepSize) || stepSize < 1)
    throw new DmaeError(
      "argument",
      `stepSchedule: stepSize must be a positive integer, got ${stepSize}`,
    );
  if (steppedAt !== "start" && steppedAt !== "end")
    throw new DmaeError(
      "argument",
      `stepSchedule: steppedAt must be "start" or "end", got ${steppedAt}`,
    );
  if (dipInEpoch !== null && !(Number.isInteger(dipInEpoch) && dipInEpoch >= 0))
    throw new DmaeError(
      "argument",
      `stepSchedule: dipInEpoch must be an epoch, counted from 0, or null for none, got ${dipInEpoch}`,
    );
  const late = steppedAt === "end" ? 1 : 0;
  return (position) => {
    const epoch = Math.floor(position);
    const drops = Math.max(0, Math.floor((epoch - late) / stepSize));
    return learningRate * gamma ** (drops + (epoch === dipInEpoch ? 1 : 0));
  };
}

/**
 * The linear scaling rule of arXiv:1706.02677: `base * effectiveBatchSize / 256`, where the effective batch
 * is batch size times accumulated micro-batches (times devices).
 */
export function scaledLearningRate(baseLearningRate: number, effectiveBatchSize: number): number {
  for (const [name, value] of Object.entries({ baseLearningRate, effectiveBatchSize }))
    if (!(value >= 0 && Number.isFinite(value)))
      throw new DmaeError(
        "argument",
        `scaledLearningRate: ${name} must be a number, 0 or more, got ${value}`,
        { value },
      );
  return (baseLearningRate * effectiveBatchSize) / 256;
}

/** Where one micro-batch stands in a run. */
export interface TrainingPosition {
  /** Epoch, from 0. */
  readonly epoch: number;
  /** Micro-batch within the epoch, from 0. */
  readonly iteration: number;
  /** Updates made before this micro-batch. */
  readonly update: number;
  /** This micro-batch is the first of an accumulation: older gradients are dropped. */
  readonly first: boolean;
  /** The optimizer updates after this micro-batch. */
  readonly last: boolean;
  /** Fractional epoch that the schedule is asked for: that of the first micro-batch of the accumulation. */
  readonly schedulePosition: number;
}

/**
 * Where micro-batch `step` stands, as in the official loops: accumulation begins anew with each epoch, so
 * that micro-batches left over at the end of an epoch (fewer than `accumulate`) update nothing.
 */
export function trainingPosition(
  step: number,
  stepsPerEpoch: number,
  accumulate: number,
): TrainingPosition {
  const epoch = Math.floor(step / stepsPerEpoch);
  const iteration = step - epoch * stepsPerEpoch;
  const boundary = iteration - (iteration % accumulate);
  return {
    epoch,
    iteration,
    update: epoch * Math.floor(stepsPerEpoch / accumulate) + boundary / accumulate,
    first: iteration === boundary,
    last: (iteration + 1) % accumulate === 0,
    schedulePosition: boundary / stepsPerEpoch + epoch,
  };
}

import type { Training } from "./train-row.ts";

/** Beside each log: what made it. */
export interface ResultFacts {
  /** Name of the row. */
  readonly row: string;
  /** The first seed. */
  readonly seed: number;
  /** First digits of the SHA-256 of the row's recipes. */
  readonly recipe: string;
  /** Classifiers whose logits are added, each of its own seed. */
  readonly members: number;
  /** How many of them must agree for the others not to be asked; of an ensemble. */
  readonly consensus?: number;
  /** Noise of the certification. */
  readonly sigma: number;
  readonly n: number;
  /** Every how many test images. */
  readonly every: number;
  readonly precision: "int8" | "float32";
  /** What the products of the training were computed in. */
  readonly trainingPrecision: Training["precision"];
  /** Seconds of pre-training, training and certification on this machine, as it was: idle or not. */
  readonly seconds: {
    readonly pretraining: number;
    readonly training: number;
    certification: number;
  };
  readonly machine: string;
  /** Day of the certification, ISO. */
  readonly date: string;
}

const hours = (seconds: number) =>
  seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

/** What a row took, in words. */
export const cost = ({ seconds, trainingPrecision, machine, date }: ResultFacts): string =>
  [
    ...(seconds.pretraining ? [`pre-training ${hours(seconds.pretraining)}`] : []),
    `training ${hours(seconds.training)} in ${trainingPrecision}`,
    `certification ${hours(seconds.certification)}`,
    ...[machine, date],
  ].join(", ");

/** Name of a main row in `@dmae/models`. */
export const shippedName = (row: string): string => `fashion-mnist-${row.replace(/^dmae-/, "")}`;

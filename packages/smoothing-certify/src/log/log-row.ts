/**
 * One image of a certification log. The first six fields are the columns of the field's TSV files;
 * the others are there in logs that this package wrote.
 */
export interface LogRow {
  /** Index of the image in its data set. */
  readonly idx: number;
  /** Its true class. */
  readonly label: number;
  /** The certified class, or -1 for abstained. */
  readonly predict: number;
  /** Certified radius, 0 when abstained. */
  readonly radius: number;
  /** 1 where `predict` is `label`, else 0. */
  readonly correct: 0 | 1;
  /** Seconds that it took; or as text, whatever another tool wrote. */
  readonly time: number | string;
  /** Lower bound on the probability of the guessed class. */
  readonly pLower?: number;
  /** Noisy samples drawn. */
  readonly samples?: number;
  /** Votes by class of the selection. */
  readonly counts0?: readonly number[];
  /** Votes by class of the estimation. */
  readonly counts?: readonly number[];
  /**
   * Where the run attacked too: distance of the nearest point that an attack found, at which the smoothed class is
   * not the label. 0 where that is so at the image itself, `Infinity` where nothing was found.
   */
  readonly attacked?: number;
  /** Where the run attacked too: 1 where the classifier is right without noise, else 0. */
  readonly clean?: 0 | 1;
  /** Everything that the row's numbers depend on. */
  readonly settings?: LogSettings;
}

/** What the numbers of a log depend on; rows of one log share it. */
export interface LogSettings {
  /** What was run, e.g. `certify`. */
  readonly procedure: string;
  readonly sigma: number;
  readonly alpha: number;
  readonly n: number;
  readonly n0: number;
  /** Seed of the noise, as text: digits, or a string in quotes. Empty where the noise does not say it. */
  readonly seed: string;
  /** Law and generator of the noise. */
  readonly generator: string;
  /** Name of the data set. */
  readonly dataset: string;
  /** Fingerprint of the data set; logs of older versions have none. */
  readonly data?: string | undefined;
  /** Name of the model, as far as it is known. */
  readonly model: string;
  /** Fingerprint of the classifier; logs of older versions have none. */
  readonly classifier?: string | undefined;
  /** Anything else that changes the numbers, e.g. the target radius of a sequential test. */
  readonly [more: string]: string | number | boolean | undefined;
}

// What the page and its worker say to each other.
import type { ModelName } from "@dmae/models";
import type { AnytimeResult, CertificateFile } from "@dmae/smoothing-certify";

/** A picture, as the page has it. */
export type Source = Blob | ImageData;

/** Which model, and how its file wants images. */
export type ModelChoice =
  | { readonly shipped: ModelName }
  | { readonly file: File; readonly mean: readonly number[]; readonly std: readonly number[] };

/** What the page needs to know about a model. */
export interface ModelFacts {
  readonly name: string;
  readonly shape: readonly [height: number, width: number, channels: number];
  readonly classNames?: readonly string[];
  /** Noise that it was trained for, where that is known. */
  readonly sigma?: number;
  /** Whether its gradient can be computed here. */
  readonly hasGradient: boolean;
}

/** Pixels in [0, 1]. */
export interface Picture {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** The numbers that the sliders set. */
export interface Settings {
  readonly sigma: number;
  readonly n: number;
  readonly alpha: number;
  /** The radius at which the sequential test may stop. */
  readonly radius?: number | undefined;
  readonly seed?: number | undefined;
}

/** A perturbation that was found, or none. */
export interface Attacked {
  readonly success: boolean;
  readonly adversarial: number;
  readonly radius: number;
  readonly point?: Float32Array;
}

/** What is reported while a call runs. */
export type Report =
  | { readonly copies: Float32Array; readonly count: number }
  | { readonly result: AnytimeResult }
  | { readonly drawn: number };

/** The calls that the worker answers: argument and result. */
export interface Calls {
  load: [{ model: ModelChoice; gpu: boolean }, ModelFacts];
  read: [{ source: Source; invert: boolean }, Picture];
  certify: [Settings & { picture: Picture }, AnytimeResult];
  issue: [Settings & { picture: Picture }, CertificateFile];
  attack: [Settings & { picture: Picture }, Attacked];
}

/** A call, or the wish to stop one. */
export type Request =
  | { readonly id: number; readonly stop: true }
  | {
      [K in keyof Calls]: { readonly id: number; readonly call: K; readonly argument: Calls[K][0] };
    }[keyof Calls];

/** An answer: a report, then a result or an error. */
export type Answer = { readonly id: number } & (
  | { readonly report: Report }
  | { readonly result: unknown }
  | { readonly error: string }
);

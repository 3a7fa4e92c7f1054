import { DmaeError } from "@dmae/core";
import type { Outputs } from "../classifier/outputs.ts";
import type { Collector, Procedure } from "../run/procedure.ts";
import { binomialExceeds } from "../statistics/binomial-quantile.ts";
import { holmRejects } from "../statistics/holm.ts";
import { ABSTAIN, certifiedRadius } from "../statistics/radius.ts";

/** Reads the class of every component of one answer. */
export interface ComponentDecoder {
  /** Number of classes of a component. */
  readonly numClasses: number;
  /** Shape of the components, given that of an answer; throws for one that does not fit. */
  shape(rowShape: readonly number[]): readonly number[];
  /** Writes the class of every component of row `row` to `out`. */
  decode(outputs: Outputs, row: number, out: Int32Array): void;
}

/** The numbers of a certificate for many components. */
export interface ComponentsSettings {
  readonly sigma: number;
  readonly n0: number;
  readonly n: number;
  readonly alpha: number;
  readonly tau: number;
  /** Distance between the distribution of one copy and the one of the guarantee; default 0. */
  readonly totalVariation?: number | undefined;
}

/** What `certifySegmentation` and `certifyMultiLabel` found out about one input. */
export interface ComponentsResult {
  /** Class of each component in row-major order, or `ABSTAIN` (-1). */
  readonly predictions: Int32Array;
  /** Shape of the components, e.g. `[height, width]`. */
  readonly outputShape: readonly number[];
  /** The l2 radius that all components share that do not abstain: `sigma Phi^-1(tau)`. */
  readonly radius: number;
  /** p-value of each component's hypothesis that its class has probability at most tau. */
  readonly pValues: Float64Array;
  /** Votes of the n for each component's guessed class. */
  readonly counts: Uint32Array;
  /** Components that abstain. */
  readonly abstained: number;
  /** Noisy samples drawn in all. */
  readonly samples: number;
}

/**
 * SegCertify (Fischer, Baader and Vechev 2021, arXiv:2107.00228, algorithm 2): n0 samples guess the class of
 * each component, n others test whether it has probability above tau, and Holm's step-down test decides
 * which of these tests hold together.
 */
export function* componentsProcedure(
  settings: ComponentsSettings,
  decoder: ComponentDecoder,
): Procedure<ComponentsResult> {
  const { sigma, n0, n, alpha, tau, totalVariation = 0 } = settings;
  const selection = new ComponentVotes(decoder);
  yield [{ stage: "selection", first: 0, count: n0, collector: selection }];
  const estimation = new Agreement(decoder, selection.shape, selection.guesses());
  yield [{ stage: "estimation", first: 0, count: n, collector: estimation }];
  const { counts, guesses } = estimation;
  const threshold = Math.min(1, (tau + totalVariation) * (1 + 2 ** -52));
  const pValueOf = memoized((count) => binomialExceeds(count - 1, n, threshold));
  const pValues = Float64Array.from(counts, pValueOf);
  const rejected = holmRejects(pValues, alpha);
  const predictions = guesses.map((guess, i) => (rejected[i] ? guess : ABSTAIN));
  return {
    predictions,
    outputShape: selection.shape,
    radius: certifiedRadius(tau, sigma),
    pValues,
    counts,
    abstained: rejected.filter((is) => is === 0).length,
    samples: n0 + n,
  };
}

/** Components share their counts: a p-value is computed once for each. */
function memoized(compute: (count: number) => number): (count: number) => number {
  const known = new Map<number, number>();
  return (count) => {
    const found = known.get(count);
    if (found !== undefined) return found;
    const value = compute(count);
    known.set(count, value);
    return value;
  };
}

/** Counts the votes of each component for each class. */
class ComponentVotes implements Collector {
  shape: readonly number[] = [];
  private counts = new Uint32Array(0);
  private classes = new Int32Array(0);

  constructor(private readonly decoder: ComponentDecoder) {}

  add(outputs: Outputs, from: number, to: number): void {
    const { numClasses } = this.decoder;
    if (this.classes.length === 0) this.begin(outputs);
    for (let row = from; row < to; row++) {
      this.decoder.decode(outputs, row, this.classes);
      for (let i = 0; i < this.classes.length; i++)
        this.counts[i * numClasses + this.classes[i]!]!++;
    }
  }

  private begin({ numClasses: width, rowShape = [width] }: Outputs): void {
    this.shape = this.decoder.shape(rowShape);
    const components = this.shape.reduce((product, length) => product * length, 1);
    this.classes = new Int32Array(components);
    this.counts = new Uint32Array(components * this.decoder.numClasses);
  }

  /** The most voted class of each component, the first of several. */
  guesses(): Int32Array {
    const { numClasses } = this.decoder;
    return this.classes.map((_, i) => {
      let best = 0;
      for (let c = 1; c < numClasses; c++)
        if (this.counts[i * numClasses + c]! > this.counts[i * numClasses + best]!) best = c;
      return best;
    });
  }
}

/** Counts the votes that agree with the guesses. */
class Agreement implements Collector {
  readonly counts: Uint32Array;
  private readonly classes: Int32Array;

  constructor(
    private readonly decoder: ComponentDecoder,
    private readonly shape: readonly number[],
    readonly guesses: Int32Array,
  ) {
    this.counts = new Uint32Array(guesses.length);
    this.classes = new Int32Array(guesses.length);
  }

  add(outputs: Outputs, from: number, to: number): void {
    const { numClasses: width, rowShape = [width] } = outputs;
    const shape = this.decoder.shape(rowShape);
    if (String(shape) !== String(this.shape))
      throw new DmaeError(
        "classifier",
        `the model returned components [${shape}] after [${this.shape}]`,
      );
    for (let row = from; row < to; row++) {
      this.decoder.decode(outputs, row, this.classes);
      for (let i = 0; i < this.classes.length; i++)
        if (this.classes[i] === this.guesses[i]) this.counts[i]!++;
    }
  }
}

import { type Draw, type Procedure, VoteCounts } from "../run/procedure.ts";
import { type CertificateSettings, certificateOf } from "../statistics/certificate.ts";
import { ABSTAIN } from "../statistics/radius.ts";

/** What CERTIFY found out about one input. */
export interface CertifyResult {
  /** The class, or `ABSTAIN` (-1). */
  readonly prediction: number;
  /** No change of the input shorter than this, in the norm asked for, alters the class; 0 when abstaining. */
  readonly radius: number;
  /** Lower bound on the probability of the class guessed by the selection, at confidence 1 - alpha. */
  readonly pLower: number;
  /** Votes by class of the n0 selection samples. */
  readonly counts0: readonly number[];
  /** Votes by class of the n estimation samples. */
  readonly counts: readonly number[];
  /** Whether `prediction` is `ABSTAIN`: the bounds do not separate the class from the others. */
  readonly abstained: boolean;
  /** Noisy samples drawn in all. */
  readonly samples: number;
}

/** The numbers of a CERTIFY run. */
export interface CertifySettings extends CertificateSettings {
  /** Selection samples: they only guess the class. */
  readonly n0: number;
  /** Estimation samples: they bound the class's probability. */
  readonly n: number;
}

/**
 * CERTIFY (Cohen, Rosenfeld and Kolter 2019, section 3.2.2): the class is guessed from n0 samples,
 * its probability bounded from n fresh ones.
 *
 * @param expected where given, nothing is drawn for the estimation when the guess is another class
 *   (the early abstention of the official DMAE script)
 */
export function* certifyProcedure(
  settings: CertifySettings,
  expected?: number,
): Procedure<CertifyResult> {
  const { n0, n } = settings;
  const selection = new VoteCounts();
  const estimation = new VoteCounts();
  const select: Draw = { stage: "selection", first: 0, count: n0, collector: selection };
  const estimate: Draw = { stage: "estimation", first: 0, count: n, collector: estimation };
  if (expected === undefined) yield [select, estimate];
  else {
    yield [select];
    if (selection.top() !== expected) return nothing(selection.counts, n0);
    yield [estimate];
  }
  return certified(settings, selection.counts, estimation.counts);
}

/** The result of CERTIFY given all votes. */
export function certified(
  settings: CertificateSettings,
  counts0: readonly number[],
  counts: readonly number[],
): CertifyResult {
  const { prediction, radius, pLower, abstained } = certificateOf(settings, counts0, counts);
  const samples = [...counts0, ...counts].reduce((sum, count) => sum + count, 0);
  return { prediction, radius, pLower, counts0, counts, abstained, samples };
}

/** A result as a row of a log. */
export const certifyRow = ({ prediction, abstained: _, ...rest }: CertifyResult) => ({
  predict: prediction,
  ...rest,
});

/** The result where the selection alone led to abstain. */
export function nothing(counts0: readonly number[], samples: number): CertifyResult {
  return {
    prediction: ABSTAIN,
    radius: 0,
    pLower: 0,
    counts0,
    counts: [],
    abstained: true,
    samples,
  };
}

import type { FloatArray } from "@dmae/core";
import type { Outputs } from "../classifier/outputs.ts";
import type { Seed } from "../noise/fresh-seed.ts";
import type { NoiseSource, NoiseStage } from "../noise/noise-source.ts";
import { VoteCounts } from "../run/procedure.ts";
import { ABSTAIN } from "../statistics/radius.ts";
import { type LadderSettings, RadiusLadder } from "../statistics/radius-ladder.ts";

/** Votes between two looks at the radius; fixed, so that it follows from the votes alone. */
const LOOK_EVERY = 32;

/** What a certifier knows about one input so far; each is a valid certificate. */
export interface AnytimeResult {
  /** The class, or `ABSTAIN` (-1). */
  readonly prediction: number;
  /** Certified l2 radius so far, 0 when abstaining; it never falls. */
  readonly radius: number;
  /** Lower bound on the probability of `prediction` so far, 0 when abstaining; `radius` is `sigma Phi^-1(pLower)`. */
  readonly pLower: number;
  /** Whether `prediction` is `ABSTAIN`. */
  readonly abstained: boolean;
  /** Noisy samples counted so far, selection included. */
  readonly samples: number;
  /** Votes by class of the estimation so far. */
  readonly counts: readonly number[];
  /** Why it ended; `"open"` while more is to come. */
  readonly ended: "open" | "samples" | "radius" | "deadline";
  /** Seed of the noise of this request. */
  readonly seed: Seed;
}

/** The numbers of a request. */
export interface RequestSettings extends LadderSettings {
  readonly n0: number;
  readonly maxSamples: number;
  /** The radius that suffices. */
  readonly radius: number;
  /** Most samples between two results. */
  readonly every: number;
}

/** One input under way: hands out the addresses of its samples and counts the answers in their order. */
export class Request {
  /** Samples handed out, selection first. */
  private drawn = 0;
  private readonly selection = new VoteCounts();
  private readonly estimation = new VoteCounts();
  private readonly ladder: RadiusLadder;
  private samples = 0;
  /** Samples at the last result. */
  private told = 0;
  private ended: AnytimeResult["ended"] = "open";

  constructor(
    readonly image: FloatArray,
    readonly noise: NoiseSource,
    private readonly seed: Seed,
    private readonly settings: RequestSettings,
    private readonly onProgress: (result: AnytimeResult) => void,
  ) {
    this.ladder = new RadiusLadder(settings);
  }

  get isOpen(): boolean {
    return this.ended === "open";
  }

  /** Takes up to `most` samples of one stage; count 0 where all are taken. */
  take(most: number): { stage: NoiseStage; first: number; count: number } {
    const { n0, maxSamples } = this.settings;
    const isSelection = this.drawn < n0;
    const left = (isSelection ? n0 : n0 + maxSamples) - this.drawn;
    const count = Math.min(most, left);
    const first = isSelection ? this.drawn : this.drawn - n0;
    this.drawn += count;
    return { stage: isSelection ? "selection" : "estimation", first, count };
  }

  /** Counts rows `from … to - 1`, the next samples; those after the end are not looked at. */
  add(outputs: Outputs, from: number, to: number): void {
    if (!this.isOpen) return;
    const before = this.ladder.radius;
    const wasCertified = this.ladder.isCertified;
    for (let row = from; row < to && this.isOpen; row++) this.count(outputs, row);
    const { isCertified, radius } = this.ladder;
    const isDue = this.samples - this.told >= this.settings.every;
    if (!this.isOpen || isDue || radius > before || isCertified !== wasCertified) {
      this.told = this.samples;
      this.onProgress(this.result());
    }
  }

  private count(outputs: Outputs, row: number): void {
    const { n0, maxSamples, radius } = this.settings;
    const isSelection = this.samples < n0;
    (isSelection ? this.selection : this.estimation).add(outputs, row, row + 1);
    this.samples++;
    const n = this.samples - n0;
    if (n <= 0) return;
    if (n % LOOK_EVERY === 0 || n === maxSamples)
      this.ladder.look(this.estimation.counts[this.selection.top()]!, n);
    if (this.ladder.isCertified && this.ladder.radius >= radius) this.ended = "radius";
    else if (n === maxSamples) this.ended = "samples";
  }

  /** Ends it with what is certified so far. */
  end(): void {
    if (!this.isOpen) return;
    this.ended = "deadline";
    this.onProgress(this.result());
  }

  /** What is known so far. */
  result(): AnytimeResult {
    const { ladder, samples, ended, seed } = this;
    return {
      prediction: ladder.isCertified ? this.selection.top() : ABSTAIN,
      radius: ladder.radius,
      pLower: ladder.pLower,
      abstained: !ladder.isCertified,
      samples,
      counts: [...this.estimation.counts],
      ended,
      seed,
    };
  }
}

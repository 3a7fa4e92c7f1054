import type { FloatArray } from "@dmae/core";
import { DmaeError, key, normal } from "@dmae/core";

/** Answers a batch of rows with a class for each. */
export type AskClasses = (batch: Float32Array) => Promise<Int32Array>;

/** A row at a place of a batch, and the class that it got there. */
interface Sighting {
  readonly batch: readonly Float32Array[];
  readonly place: number;
  readonly class: number;
}

/** Points on a line between two rows in one pass, and passes: the boundary is found to 1/81 of the line. */
const POINTS = 8;
const SWEEPS = 2;

/** Rows of the batches in which rows near the boundary are shown. */
const SHOWN = 4;

/** Rows that all designs together may take: with the 26 of every check 1 % of 10,000 samples. */
const BUDGET = 72;

/** How much louder than the noise, or brighter than the image, the neighbours are that move all statistics. */
const LOUD = 64;

/**
 * Copies of a row that are asked in both batches where its class changed, the noise on them relative to that of the
 * run, and how many must change: a row on the boundary of two classes, which rounding moves, takes its copies
 * along to one side, and they agree.
 */
const COPIES = 16;
const MOST_FLIPS = 16;
const JITTER = 0.02;
const CHANGED = 14;

/**
 * Looks for dependence on the batch where a classifier returns class ids only, which hide all changes that cross no
 * boundary. So rows near a boundary are found, by bisection between two rows of different classes, and
 * shown among neighbours that move means, variances, ranges and ranks far: loud noise, black, white, none.
 *
 * A class that changes is no evidence yet, as rounding may differ between batches of other sizes; see {@link confirm}.
 */
export class ClassIdCheck {
  private readonly seen = new Map<Float32Array, Sighting>();
  private readonly flips: [Sighting, Sighting][] = [];
  private rowsLeft: number;

  constructor(
    private readonly ask: AskClasses,
    /** The rows that every batch must have; undefined where they are free. */
    private readonly fixed: number | undefined,
    private readonly most: number,
    private readonly image: FloatArray,
  ) {
    this.rowsLeft = Math.max(BUDGET, 4 * (fixed ?? 0));
  }

  /** Whether a row got two classes. */
  get hasFlips(): boolean {
    return this.flips.length > 0;
  }

  /** Takes in rows that were classified in a batch. */
  record(batch: readonly Float32Array[], classes: Int32Array): void {
    for (const [place, row] of batch.entries()) {
      const sighting = { batch, place, class: classes[place]! };
      const before = this.seen.get(row);
      if (before && before.class !== sighting.class) this.flips.push([before, sighting]);
      this.seen.set(row, sighting);
    }
  }

  /** Size of the noise in the first row that was recorded. */
  private get noise(): number {
    const [first] = this.seen.keys();
    return rms(first!, this.image) || 1;
  }

  /** Asks for the classes of rows in one batch, which is filled up where its size is fixed. */
  private async show(rows: readonly Float32Array[]): Promise<void> {
    const length = this.fixed ?? rows.length;
    const batch = Array.from({ length }, (_, i) => rows[i % rows.length]!);
    if (this.rowsLeft < length) return;
    this.rowsLeft -= length;
    try {
      this.record(batch, await this.ask(joined(batch)));
    } catch (error) {
      if (!DmaeError.isInstance(error, "classifier")) throw error; // a classifier may refuse rows as loud as these
    }
  }

  /** Goes through all designs. */
  async run(noisy: readonly Float32Array[]): Promise<void> {
    const loud = this.loudRows(noisy);
    await this.show([noisy[0]!, ...loud].slice(0, this.most));
    const near = await this.nearBoundary(noisy, loud);
    for (const row of near) await this.show([row]);
    const batchRows = this.fixed ?? Math.min(SHOWN, this.most);
    for (const neighbour of loud) {
      const room = Math.max(1, Math.min(near.length, batchRows - 1));
      await this.show([...near.slice(0, room), ...new Array(batchRows - room).fill(neighbour)]);
    }
  }

  private loudRows(noisy: readonly Float32Array[]): Float32Array[] {
    const { image } = this;
    let brightest = 0;
    for (const value of image) brightest = Math.max(brightest, Math.abs(value));
    const scale = Math.max(brightest, this.noise);
    const constant = (value: number) => new Float32Array(image.length).fill(value);
    const louder = (row: Float32Array, factor: number) =>
      row.map((value, i) => image[i]! + factor * (value - image[i]!));
    return [
      louder(noisy[0]!, LOUD),
      louder(noisy[0]!, -LOUD),
      louder(noisy[1] ?? noisy[0]!, LOUD),
      louder(noisy[1] ?? noisy[0]!, -LOUD),
      constant(0),
      constant(scale),
      constant(LOUD * scale),
      constant(-LOUD * scale),
    ];
  }

  /** Two rows on either side of a boundary, or two rows of one class where no other was seen. */
  private async nearBoundary(noisy: readonly Float32Array[], loud: readonly Float32Array[]) {
    let a = noisy[0]!;
    const rows = [...this.seen.keys()];
    const other =
      rows.find((row) => !loud.includes(row) && this.differs(row, a)) ??
      rows.find((row) => this.differs(row, a));
    if (!other) return noisy.slice(0, 2);
    let b: Float32Array = other;
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const points = between(a, b, Math.min(POINTS, this.most));
      await this.show(points);
      const line = [a, ...points, b].filter((row) => this.seen.has(row));
      const end = line.findIndex((row) => this.differs(row, a));
      [a, b] = [line[end - 1]!, line[end]!];
    }
    return [a, b];
  }

  private differs(a: Float32Array, b: Float32Array): boolean {
    return this.seen.get(a)!.class !== this.seen.get(b)!.class;
  }

  /**
   * How many rows changed their class, where rounding cannot have done it; 0 otherwise. Begins anew afterwards.
   */
  async confirm(): Promise<number> {
    const count = this.flips.length;
    for (const [first, second] of this.flips.splice(0).slice(0, MOST_FLIPS)) {
      let changed = 0;
      for (let copy = 0; copy < COPIES && copy - changed <= COPIES - CHANGED; copy++) {
        const row = first.batch[first.place]!;
        const jitter = normal(key("smoothing-certify/jitter"), row.slice(), {
          index: copy,
          mean: row,
          standardDeviation: JITTER * this.noise,
        });
        if ((await this.classAt(first, jitter)) !== (await this.classAt(second, jitter))) changed++;
      }
      if (changed >= CHANGED) return count;
    }
    return 0;
  }

  private async classAt({ batch, place }: Sighting, row: Float32Array): Promise<number> {
    return (await this.ask(joined(batch.with(place, row))))[place]!;
  }
}

/** `count` rows at equal distances between two. */
const between = (a: Float32Array, b: Float32Array, count: number) =>
  Array.from({ length: count }, (_, k) =>
    a.map((value, i) => value + ((b[i]! - value) * (k + 1)) / (count + 1)),
  );

const rms = (row: Float32Array, image: FloatArray) =>
  Math.sqrt(row.reduce((sum, v, i) => sum + (v - image[i]!) ** 2, 0) / row.length);

/** Rows as one batch. */
export function joined(rows: readonly Float32Array[]): Float32Array {
  const size = rows[0]!.length;
  const batch = new Float32Array(rows.length * size);
  for (const [i, row] of rows.entries()) batch.set(row, i * size);
  return batch;
}

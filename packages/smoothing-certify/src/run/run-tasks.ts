import type { FloatArray } from "@dmae/core";
import type { PreparedClassifier } from "../classifier/classifier.ts";
import { checkFinite } from "../classifier/finite.ts";
import type { Outputs } from "../classifier/outputs.ts";
import type { NoiseSource } from "../noise/noise-source.ts";
import type { BatchSizer } from "./batch-sizer.ts";
import { Breather } from "./breather.ts";
import type { Draw, Procedure } from "./procedure.ts";
import { endAfterError, type FirstBatch, RowCheck } from "./row-check.ts";

/** One input and what is to be done with it. */
export interface Task<R> {
  /** Index of the image: part of the address of its noise. */
  readonly index: number;
  readonly image: FloatArray;
  readonly procedure: Procedure<R>;
}

/** A task that is done. */
export interface Finished<R> {
  readonly index: number;
  readonly result: R;
}

/** What all tasks of a run share. */
export interface RunSettings {
  readonly classifier: PreparedClassifier;
  readonly noise: NoiseSource;
  readonly batches: BatchSizer;
  /** Shape of every image, without batch dimension. */
  readonly imageShape: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** Whether to check that rows are independent; see `RowCheck`. */
  readonly checkRows: boolean;
  /** Whether the classifier is declared to be random. */
  readonly randomized: boolean;
  /** Called with the number of rows of every batch that was classified. */
  readonly onBatch?: ((rows: number) => void) | undefined;
}

interface Active<R> {
  readonly task: Task<R>;
  /** Draws not yet put into a batch, the first maybe in part. */
  waiting: { draw: Draw; next: number }[];
  /** Rows that were put into a batch and not yet answered. */
  inFlight: number;
}

interface Segment<R> {
  readonly active: Active<R>;
  readonly draw: Draw;
  readonly first: number;
  readonly row: number;
  readonly count: number;
}

interface Packed<R> {
  readonly batch: Float32Array;
  readonly rows: number;
  readonly segments: readonly Segment<R>[];
}

/**
 * Runs procedures on their inputs, sharing the rows of each batch among them so that the model always
 * sees full batches: the samples of one input follow on those of the one before, and inputs are
 * started as long as a batch has rows left. While the model works on one batch the next is filled.
 * Yields each result as soon as it is there.
 *
 * What a task gets does not depend on the batches, since every sample is addressed.
 */
export async function* runTasks<R>(
  tasks: AsyncIterator<Task<R>> | Iterator<Task<R>>,
  settings: RunSettings,
): AsyncGenerator<Finished<R>, void, void> {
  const { signal } = settings;
  const check = settings.checkRows
    ? new RowCheck({ ...settings, batchSize: settings.batches.largest })
    : undefined;
  let failed = false;
  try {
    yield* runBatches(tasks, settings, check);
  } catch (error) {
    failed = true;
    await endAfterError(() => check?.end());
    throw error;
  } finally {
    if (!failed) await check?.end(); // also after an abort, or where the caller's loop was left: what was yielded is checked
  }
  signal?.throwIfAborted();
}

async function* runBatches<R>(
  tasks: AsyncIterator<Task<R>> | Iterator<Task<R>>,
  settings: RunSettings,
  check: RowCheck | undefined,
): AsyncGenerator<Finished<R>, void, void> {
  const { batches, signal, onBatch } = settings;
  const packer = new Packer(tasks, settings.noise, batches, sizeOf(settings));
  const breather = new Breather();
  let packed = await packer.next(check?.batchRows);
  for (let isFirst = true; packed; isFirst = false) {
    await breather.pause();
    if (signal?.aborted) return;
    const { rows, segments } = packed;
    const before = isFirst && check ? sent(packed, settings).slice() : undefined;
    const start = performance.now();
    const answer = classify(packed, settings);
    answer.catch(() => {}); // awaited below, after the next batch is filled
    const following = await packer.next();
    const outputs = await answer;
    batches.record(rows, (performance.now() - start) / 1000);
    if (before) await check?.begin(firstBatch(packed, before, outputs));
    onBatch?.(rows);
    yield* packer.deliver(segments, outputs);
    packed = following ?? (await packer.next());
  }
  yield* packer.deliver([]);
}

/** The check of rows alone, for a run that has nothing left to do. */
export async function checkRowsOf(
  { index, image }: Pick<Task<unknown>, "index" | "image">,
  settings: RunSettings,
): Promise<void> {
  const check = new RowCheck({ ...settings, batchSize: settings.batches.largest });
  await check.begin({ index, image, batch: new Float32Array(0), rows: 0 });
}

const sizeOf = ({ imageShape }: RunSettings) =>
  imageShape.reduce((product, length) => product * length, 1);

/** What of a batch is sent: its rows, or all that a model of fixed batch size takes. */
function sent<R>({ batch, rows }: Packed<R>, settings: RunSettings): Float32Array {
  const fixed = settings.classifier.traits.fixedBatchSize;
  return batch.subarray(0, (fixed ?? rows) * sizeOf(settings));
}

function classify<R>(packed: Packed<R>, settings: RunSettings): Promise<Outputs> {
  const batch = sent(packed, settings);
  const rows = batch.length / sizeOf(settings);
  return settings.classifier.classify(batch, [rows, ...settings.imageShape]);
}

function firstBatch<R>(packed: Packed<R>, batch: Float32Array, answers: Outputs): FirstBatch {
  const { index, image } = packed.segments[0]!.active.task;
  return { image, index, batch, rows: packed.rows, answers };
}

/** Fills batches from the draws of the tasks that are under way. */
class Packer<R> {
  private readonly active: Active<R>[] = [];
  private readonly done: Finished<R>[] = [];
  private readonly buffers: Float32Array[];
  private turn = 0;
  private exhausted = false;

  constructor(
    private readonly tasks: AsyncIterator<Task<R>> | Iterator<Task<R>>,
    private readonly noise: NoiseSource,
    private readonly batches: BatchSizer,
    private readonly size: number,
  ) {
    this.buffers = [0, 1].map(() => new Float32Array(batches.largest * size));
  }

  /**
   * The next batch, or nothing if no draw is waiting and no task is left to start.
   *
   * @param limit most rows, below what a batch may have
   */
  async next(limit = Number.POSITIVE_INFINITY): Promise<Packed<R> | undefined> {
    const batch = this.buffers[(this.turn ^= 1)]!;
    const segments: Segment<R>[] = [];
    const most = Math.min(limit, this.batches.size);
    let row = 0;
    for (let i = 0; row < most; i++) {
      const active = this.active[i] ?? (await this.start());
      if (!active) break;
      row = await this.take(active, batch, row, most, segments);
    }
    if (row === 0) {
      this.turn ^= 1;
      return undefined;
    }
    checkFinite("the noise", batch.subarray(0, row * this.size), this.size);
    return { batch, rows: row, segments };
  }

  /** Moves draws of one task into the batch from `row` on; returns the next free row. */
  private async take(
    active: Active<R>,
    batch: Float32Array,
    start: number,
    most: number,
    segments: Segment<R>[],
  ): Promise<number> {
    let row = start;
    while (active.waiting.length > 0 && row < most) {
      const waiting = active.waiting[0]!;
      const { draw, next: done } = waiting;
      const count = Math.min(draw.count - done, most - row);
      const { index, image } = active.task;
      const out = batch.subarray(row * this.size, (row + count) * this.size);
      const first = draw.first + done;
      await this.noise.fill(out, image, { image: index, stage: draw.stage, first, count });
      segments.push({ active, draw, first, row, count });
      active.inFlight += count;
      waiting.next += count;
      if (waiting.next === draw.count) active.waiting.shift();
      row += count;
    }
    return row;
  }

  private async start(): Promise<Active<R> | undefined> {
    while (!this.exhausted) {
      const { value, done } = await this.tasks.next();
      if (done) {
        this.exhausted = true;
        break;
      }
      const active: Active<R> = { task: value, waiting: [], inFlight: 0 };
      if (this.advance(active)) {
        this.active.push(active);
        return active;
      }
    }
    return undefined;
  }

  /** Continues a procedure; false when it has ended, its result then waits in `done`. */
  private advance(active: Active<R>): boolean {
    for (;;) {
      const step = active.task.procedure.next();
      if (step.done) {
        this.done.push({ index: active.task.index, result: step.value });
        return false;
      }
      active.waiting = step.value.filter((d) => d.count > 0).map((draw) => ({ draw, next: 0 }));
      if (active.waiting.length > 0) return true;
    }
  }

  /** Hands the answers out; yields the tasks that end with them. */
  *deliver(segments: readonly Segment<R>[], outputs?: Outputs): Generator<Finished<R>, void, void> {
    for (const { active, draw, row, count } of segments) {
      draw.collector.add(outputs!, row, row + count);
      active.inFlight -= count;
      if (active.waiting.length > 0 || active.inFlight > 0) continue;
      if (!this.advance(active)) this.active.splice(this.active.indexOf(active), 1);
    }
    while (this.done.length > 0) yield this.done.shift()!;
  }
}

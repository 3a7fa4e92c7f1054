import type { PreparedClassifier } from "../classifier/classifier.ts";
import { checkFinite } from "../classifier/finite.ts";
import type { BatchSizer } from "../run/batch-sizer.ts";
import { Breather } from "../run/breather.ts";
import type { Request } from "./request.ts";

interface Segment {
  readonly request: Request;
  readonly row: number;
  readonly count: number;
}

interface Packed {
  readonly batch: Float32Array;
  readonly rows: number;
  readonly segments: readonly Segment[];
}

/** What the requests share. */
export interface SharedSettings {
  readonly classifier: PreparedClassifier;
  readonly batches: BatchSizer;
  readonly imageShape: readonly number[];
  /** Called before each batch; what it throws ends all requests. */
  readonly beforeBatch: () => Promise<void>;
  /** Called with what ended all requests. */
  readonly onError: (error: unknown, requests: readonly Request[]) => void;
}

/**
 * Runs the requests that are under way: each batch is shared among them in equal parts, the next is filled while the
 * model works. Without requests it waits.
 */
export class SharedBatches {
  private live: Request[] = [];
  private running: Promise<void> | undefined;
  private readonly buffers: Float32Array[];
  private readonly size: number;
  private turn = 0;

  constructor(private readonly settings: SharedSettings) {
    this.size = settings.imageShape.reduce((product, length) => product * length, 1);
    const length = settings.batches.largest * this.size;
    this.buffers = [new Float32Array(length), new Float32Array(length)];
  }

  /** Starts a request; its progress tells of its end. */
  add(request: Request): void {
    this.live.push(request);
    this.start();
  }

  /** Waits until no request is under way. */
  async idle(): Promise<void> {
    while (this.running) await this.running;
  }

  private start(): void {
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      if (this.live.length > 0) this.start();
    });
  }

  private async run(): Promise<void> {
    try {
      await this.runBatches();
    } catch (error) {
      const { live } = this;
      this.live = [];
      this.settings.onError(error, live);
    }
  }

  private async runBatches(): Promise<void> {
    const { batches, beforeBatch } = this.settings;
    const breather = new Breather();
    let packed = await this.pack();
    while (packed) {
      await breather.pause();
      await beforeBatch();
      const start = performance.now();
      const answer = this.classify(packed);
      answer.catch(() => {}); // awaited below, after the next batch is filled
      const following = await this.pack();
      const outputs = await answer;
      batches.record(packed.rows, (performance.now() - start) / 1000);
      for (const { request, row, count } of packed.segments) request.add(outputs, row, row + count);
      this.live = this.live.filter((request) => request.isOpen);
      packed = following ?? (await this.pack());
    }
    this.live = this.live.filter((request) => request.isOpen); // some may have met their deadline
  }

  private classify({ batch, rows }: Packed) {
    const { classifier, imageShape } = this.settings;
    const sent = classifier.traits.fixedBatchSize ?? rows;
    return classifier.classify(batch.subarray(0, sent * this.size), [sent, ...imageShape]);
  }

  /** The next batch, or nothing where all samples of all requests are taken. */
  private async pack(): Promise<Packed | undefined> {
    const batch = this.buffers[(this.turn ^= 1)]!;
    const segments: Segment[] = [];
    const most = this.settings.batches.size;
    let row = 0;
    const waiting = this.live.filter((request) => request.isOpen);
    const share = Math.ceil(most / waiting.length);
    const served = new Set<Request>();
    while (waiting.length > 0 && row < most) {
      const request = waiting.shift()!;
      const { stage, first, count } = request.take(Math.min(share, most - row));
      if (count === 0) continue;
      const out = batch.subarray(row * this.size, (row + count) * this.size);
      await request.noise.fill(out, request.image, { image: 0, stage, first, count });
      segments.push({ request, row, count });
      served.add(request);
      row += count;
      waiting.push(request);
    }
    // who got no row comes first in the next batch
    this.live.sort((a, b) => Number(served.has(a)) - Number(served.has(b)));
    if (row === 0) {
      this.turn ^= 1;
      return undefined;
    }
    checkFinite("the noise", batch.subarray(0, row * this.size), this.size);
    return { batch, rows: row, segments };
  }
}

import { DmaeError } from "@dmae/core";
import type { LogRow } from "./log-row.ts";

/** Walks through the rows of a log in the order of their images. */
export class RowCursor {
  /** Where it is; undefined before the first row and after the last one. */
  row: LogRow | undefined;
  private batch: readonly LogRow[] = [];
  private at = 0;

  /**
   * @param path of the log, for the error
   * @param rows rows to read: a run may append others meanwhile
   * @param ascending whether the rows are in the order of their images; others are read at once and sorted
   */
  constructor(
    private readonly path: string,
    private readonly batches: AsyncGenerator<LogRow[], void, void>,
    private rows: number,
    private readonly ascending: boolean,
  ) {}

  async advance(): Promise<void> {
    if (this.rows === 0) {
      this.row = undefined;
      return;
    }
    if (this.at === this.batch.length) await (this.ascending ? this.readBatch() : this.readAll());
    this.row = this.batch[this.at++];
    this.rows--;
  }

  async close(): Promise<void> {
    await this.batches.return();
  }

  private async readBatch(): Promise<void> {
    this.at = 0;
    do {
      const { value } = await this.batches.next();
      if (!value) throw this.changed();
      this.batch = value;
    } while (this.batch.length === 0);
  }

  private async readAll(): Promise<void> {
    const all: LogRow[] = [];
    for await (const rows of this.batches) for (const row of rows) all.push(row);
    if (all.length < this.rows) throw this.changed();
    this.batch = all.slice(0, this.rows).sort((a, b) => a.idx - b.idx);
  }

  private changed(): DmaeError {
    return new DmaeError(
      "file",
      `mergeLogs: ${this.path} lost rows while it was read; merge again when nothing writes to it`,
      { file: this.path },
    );
  }
}

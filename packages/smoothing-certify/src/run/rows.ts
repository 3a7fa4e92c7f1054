/** Rows of a run, computed as they are asked for: iterate over them with `for await`, or collect them. */
export interface Rows<Row> extends AsyncGenerator<Row, void, void> {
  /** Runs to the end and returns all rows that were not read yet. */
  toArray(): Promise<Row[]>;
}

/** Adds `toArray` to a generator. */
export function rowsOf<Row>(generator: AsyncGenerator<Row, void, void>): Rows<Row> {
  return Object.assign(generator, {
    async toArray() {
      const rows: Row[] = [];
      for await (const row of generator) rows.push(row);
      return rows;
    },
  });
}

import { writeLog } from "../log/log-file.ts";
import type { LogRow } from "../log/log-row.ts";
import { type CertifyDatasetOptions, certifyDataset } from "../procedures/certify-dataset.ts";
import { halves, steps } from "./steps.ts";

/** Rows of a long log. */
export const LENGTH = 1_000_000;
const data = steps(LENGTH + 1);
const run: CertifyDatasetOptions = { seed: 0, sigma: 0.5, n0: 10, n: 1000, model: "halves" };

/**
 * Writes logs as long runs leave them: one of all images, and two of shards.
 *
 * @param names of the files for all images, shard 0/2 and shard 1/2
 */
export async function writeLongLogs(all: string, shards: readonly string[]): Promise<void> {
  const [row] = await certifyDataset(halves, data, { ...run, max: 1 }).toArray();
  await writeLog(all, longRows(row!, 0, 1));
  for (const [index, path] of shards.entries()) {
    const settings = { ...row!.settings!, shard: `${index}/${shards.length} of ${LENGTH}` };
    await writeLog(path, longRows({ ...row!, settings }, index, shards.length));
  }
}

function* longRows(row: LogRow, first: number, step: number): Generator<LogRow> {
  for (let idx = first; idx < LENGTH; idx += step) {
    const votes = 500 + (idx % 500);
    const counts = [votes, 1000 - votes];
    yield { ...row, idx, label: 0, predict: 0, correct: 1, radius: votes / 997 + idx / 1e12, counts };
  }
}

/** Goes on with a log of all images but one; counts its rows. */
export async function resume(log: string): Promise<void> {
  let rows = 0;
  for await (const _ of certifyDataset(halves, data, { ...run, log })) rows++;
  console.log(`${rows} rows`);
}

const [command, log] = process.argv.slice(2);
if (command === "resume") await resume(log!);

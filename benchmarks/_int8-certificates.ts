// Certified accuracy of one classifier in float32 and int8 under the same noise. Every image is logged
// (folder int8 beside the model), so an interrupted run goes on where it was; Ctrl-C, or DMAE_SECONDS of work, ends it
// with the table of what is there.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import type { Quantization } from "@dmae/compile";
import type { HostTensors } from "@dmae/core";
import { fashionMnist } from "@dmae/datasets";
import {
  averageCertifiedRadius,
  certifiedAccuracy,
  certifyDataset,
  type LogRow,
  readLog,
} from "@dmae/smoothing-certify";
import {
  type Classify,
  classifierOf,
  prepare,
  quantization,
  quickstart,
  sigma,
} from "./_int8-model.ts";

const radii = [0, 0.25, 0.5, 0.75];
/** Images that one precision certifies before it is the other's turn: both see the same machine. */
const turn = 10;

/** What to certify. */
export interface CertificateRun {
  /** The checkpoint. */
  path: string;
  images: number;
  n: number;
  /** Bits of the weights of the int8 programs. */
  bits: readonly (7 | 8)[];
}

interface Contestant {
  name: string;
  program: Classify;
  log: string;
  /** Says in the log which model and scales made the row. */
  model: string;
  rows: LogRow[];
}

/** Prints certified accuracies, votes and rates of every precision. */
export async function compareCertificates(
  constants: HostTensors,
  run: CertificateRun,
): Promise<void> {
  const contestants = [await contestant("float32", constants, run)];
  for (const weightBits of run.bits) {
    const scales = await quantization(quickstart, constants, { weightBits });
    contestants.push(await contestant(`int8, ${weightBits}-bit weights`, constants, run, scales));
  }
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const until =
    performance.now() + 1000 * Number(process.env.DMAE_SECONDS ?? Number.POSITIVE_INFINITY);
  let done = Math.min(...(await Promise.all(contestants.map(({ log }) => imagesIn(log)))));
  do {
    for (const each of contestants) await certifyUpTo(done, each, run);
    if (done === run.images || performance.now() > until) break;
    done = Math.min(done + turn, run.images);
  } while (!stopped);
  for (const { program } of contestants) program.dispose();
  print(contestants, run);
}

const imagesIn = async (log: string) =>
  existsSync(log) ? (await readLog(log, { partial: true })).length : 0;

async function contestant(
  name: string,
  constants: HostTensors,
  { path, images, n }: CertificateRun,
  scales?: Quantization,
): Promise<Contestant> {
  const hash = createHash("sha256").update(readFileSync(path));
  if (scales) hash.update(JSON.stringify(scales));
  const file = `${name.replace(/\W+/g, "-")}-n-${n}-images-${images}.tsv`;
  return {
    name,
    program: await prepare(quickstart, constants, scales),
    log: join(dirname(path), "int8", file),
    model: `${name} ${hash.digest("hex").slice(0, 16)}`,
    rows: [],
  };
}

/** The first `max` images; those that the log holds are read from it. */
async function certifyUpTo(
  max: number,
  { name, program, log, model, rows }: Contestant,
  { images, n }: CertificateRun,
): Promise<void> {
  if (max === 0) return;
  const { test } = await fashionMnist();
  const options = { sigma, n0: 100, n, alpha: 0.001, seed: 0, log, model };
  const skip = Math.floor(test.length / images);
  const before = rows.length;
  rows.length = 0;
  const found = certifyDataset(classifierOf(program), test, { ...options, skip, max });
  for await (const row of found) rows.push(row);
  if (rows.length > before) process.stderr.write(`${name}: ${rows.length} of ${images}\n`);
}

/** Share of the votes of all images that lie in the same class in both logs. */
function commonVotes(a: readonly LogRow[], b: readonly LogRow[]): number {
  let common = 0;
  let all = 0;
  for (const [i, row] of a.entries())
    row.counts?.forEach((count, c) => {
      common += Math.min(count, b[i]!.counts?.[c] ?? 0);
      all += count;
    });
  return common / all;
}

function print(contestants: readonly Contestant[], { images, n }: CertificateRun): void {
  const [float] = contestants as [Contestant, ...Contestant[]];
  if (float.rows.length === 0) return;
  const done = float.rows.length;
  const count = done < images ? `the first ${done} of ${images}` : images;
  console.log(`\nCERTIFY on ${count} test images, sigma ${sigma}, n = ${n}, the same noise:\n`);
  console.log(
    `| | ${radii.map((r) => `r = ${r}`).join(" | ")} | ACR | same prediction | common votes | noisy images/s |`,
  );
  console.log(`|---|${radii.map(() => "---|").join("")}---|---|---|---|`);
  for (const { name, rows } of contestants) {
    const percent = (share: number, digits: number) => `${(100 * share).toFixed(digits)} %`;
    const same = rows.filter((row, i) => row.predict === float.rows[i]!.predict).length;
    const seconds = rows.reduce((sum, row) => sum + Number(row.time), 0);
    const cells = [
      name,
      ...certifiedAccuracy(rows, radii).map((a) => percent(a, 1)),
      averageCertifiedRadius(rows).toFixed(4),
      `${same} of ${rows.length}`,
      percent(commonVotes(float.rows, rows), 2),
      ((rows.length * (n + 100)) / seconds).toFixed(0),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

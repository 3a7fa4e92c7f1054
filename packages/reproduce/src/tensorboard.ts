import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeAtomically } from "@dmae/core/files";
import { maskedCrc32c } from "./crc32c.ts";

/** Scalars of one step for TensorBoard. */
export interface ScalarEvent {
  /** The step. */
  readonly step: number;
  /** Values by tag, e.g. `train/loss`. */
  readonly values: Readonly<Record<string, number>>;
  /** Unix time in seconds. */
  readonly wallTime: number;
}

/** Writes an event file that TensorBoard opens. */
export interface EventWriter {
  /** Adds a step's scalars; written out about once a second, and by `close`. */
  add(step: number, values: Readonly<Record<string, number>>): Promise<void>;
  /** Writes what is waiting. */
  close(): Promise<void>;
}

/**
 * An event file that follows the log of a run folder. A resumed run writes the file anew from the log up to the step
 * it goes on from, so that no step is in it twice; so does the step after a failed write.
 *
 * @param file path with `tfevents` in its name
 * @param log the run folder's `log.jsonl`
 */
export function eventWriter(file: string, log: string): EventWriter {
  let started = false;
  let waiting: Uint8Array[] = [];
  let flushed = Date.now();
  const flush = async () => {
    const bytes = Buffer.concat(waiting);
    waiting = [];
    flushed = Date.now();
    if (bytes.length === 0) return;
    await appendFile(file, bytes).catch((error) => {
      started = false; // a part may have been written: the next step begins the file anew
      throw error;
    });
  };
  return {
    async add(step, values) {
      if (!started) await startFrom(file, log, step);
      started = true;
      waiting.push(record(encodeEvent({ step, values, wallTime: Date.now() / 1000 })));
      if (Date.now() - flushed > 1000) await flush();
    },
    close: flush,
  };
}

/** A new file with the version record and the log's lines before `step`. */
async function startFrom(file: string, log: string, step: number): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const text = await readFile(log, "utf8").catch(() => "");
  const wallTime = Date.now() / 1000;
  const events = text
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    .filter((line) => typeof line.step === "number" && line.step < step && line.kind !== "epoch")
    .map((line) =>
      record(encodeEvent({ step: line.step as number, values: tagged(line), wallTime })),
    );
  await writeAtomically("run folder", file, [record(versionEvent(wallTime)), ...events]);
}

/** Scalars of a log line under TensorBoard's names. */
export function tagged(line: Readonly<Record<string, unknown>>): Record<string, number> {
  const group = line.kind === "evaluation" ? "evaluation" : "train";
  const numbers = Object.entries(line).filter(
    (entry): entry is [string, number] =>
      typeof entry[1] === "number" && !["step", "epoch", "seconds"].includes(entry[0]),
  );
  return Object.fromEntries(numbers.map(([name, value]) => [`${group}/${name}`, value]));
}

/** Where the event file of a stage lies. */
export const eventFile = (folder: string, stage: string) =>
  join(folder, "tensorboard", stage, "events.out.tfevents.0.dmae");

/** One record: length, its checksum, data, its checksum; all little-endian. */
export function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return bytes;
}

/** `Event { wall_time = 1, step = 2, summary = 5 }` of tensorflow/core/util/event.proto. */
export function encodeEvent({ step, values, wallTime }: ScalarEvent): Uint8Array {
  const summary = Object.entries(values).map(([tag, value]) =>
    message(1, Buffer.concat([message(1, Buffer.from(tag)), fixed32(2, value)])),
  );
  return Buffer.concat([
    fixed64(1, wallTime),
    Buffer.concat([varint((2 << 3) | 0), varint(step)]),
    message(5, Buffer.concat(summary)),
  ]);
}

const versionEvent = (wallTime: number) =>
  Buffer.concat([fixed64(1, wallTime), message(3, Buffer.from("brain.Event:2"))]);

function message(field: number, data: Uint8Array): Uint8Array {
  return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
}

function fixed64(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(9);
  bytes[0] = (field << 3) | 1;
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

function fixed32(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(5);
  bytes[0] = (field << 3) | 5;
  bytes.writeFloatLE(value, 1);
  return bytes;
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

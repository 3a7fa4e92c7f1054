import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { crc32c, maskedCrc32c } from "./crc32c.ts";
import { encodeEvent, eventWriter, record } from "./tensorboard.ts";
import { temporaryFolder } from "./testing/image-files.ts";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  place = await temporaryFolder();
});
afterAll(() => place.dispose());

test("crc32c has the check values of RFC 3720, B.4", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
});

test("a record is length, masked checksum, data, masked checksum", () => {
  // the first record of every event file of TensorBoard with wall time 0: Event{file_version: "brain.Event:2"}
  const data = Buffer.from("1a0d627261696e2e4576656e743a32", "hex");
  const bytes = Buffer.from(record(data));
  expect(bytes.readBigUInt64LE(0)).toBe(15n);
  expect(bytes.readUInt32LE(8)).toBe(maskedCrc32c(bytes.subarray(0, 8)));
  expect(bytes.subarray(12, 27)).toEqual(data);
  expect(bytes.readUInt32LE(27)).toBe(maskedCrc32c(data));
});

test("an event is the protocol buffer that event.proto describes", () => {
  const bytes = encodeEvent({ step: 300, values: { "a/b": 0.5 }, wallTime: 1 });
  // 09 = field 1, double 1.0; 10 = field 2, varint 300; 2a = field 5; 0a = value; 0a = tag; 15 = float 0.5
  expect(Buffer.from(bytes).toString("hex")).toBe(
    "09000000000000f03f" + "10ac02" + "2a0c" + "0a0a" + "0a03612f62" + "150000003f",
  );
});

interface Parsed {
  step: number;
  tag: string;
  value: number;
}

/** Reads scalars back: enough of protocol buffers for one value an event. */
async function parse(file: string): Promise<Parsed[]> {
  const bytes = await readFile(file);
  const found: Parsed[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(data));
    at += length + 16;
    const tagAt = data.indexOf("train/loss");
    if (tagAt < 0) continue;
    found.push({ step: data[10]!, tag: "train/loss", value: data.readFloatLE(tagAt + 11) });
  }
  return found;
}

test("a resumed run's file has every step once", async () => {
  const file = join(place.folder, "events.out.tfevents.x");
  const log = join(place.folder, "log.jsonl");
  const first = eventWriter(file, log);
  for (const step of [1, 2, 3, 4]) await first.add(step, { "train/loss": step });
  await first.close();
  const lines = [1, 2].map((step) =>
    JSON.stringify({ kind: "step", step, loss: step, seconds: 9 }),
  );
  await writeFile(log, `${lines.join("\n")}\n`); // the checkpoint was after step 2
  const second = eventWriter(file, log);
  for (const step of [3, 4, 5]) await second.add(step, { "train/loss": 10 * step });
  await second.close();
  const parsed = await parse(file);
  expect(parsed.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
  expect(parsed.map(({ value }) => value)).toEqual([1, 2, 30, 40, 50]);
});

test("a write that fails loses no step", async () => {
  const file = join(place.folder, "events.out.tfevents.y");
  const log = join(place.folder, "failed.jsonl");
  const writer = eventWriter(file, log);
  await writer.add(1, { "train/loss": 1 });
  await rm(file);
  await mkdir(file); // no file can be written where a folder is
  await expect(writer.close()).rejects.toThrow("EISDIR");
  await rm(file, { recursive: true });
  await writeFile(log, `${JSON.stringify({ kind: "step", step: 1, loss: 1 })}\n`);
  await writer.add(2, { "train/loss": 2 });
  await writer.close();
  expect((await parse(file)).map(({ step, value }) => [step, value])).toEqual([
    [1, 1],
    [2, 2],
  ]);
});

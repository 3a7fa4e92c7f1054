import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crc32 } from "./crc32.ts";
import { bytes, dict, little, pickle, tensor, text } from "./testing/pickle-builder.ts";

// DMAE-Large has 24 blocks of width 1024: 1.2 GB in float32. The tensors here have its larger shapes.
const blocks = 24;
const shapes = { qkv: [3072, 1024], proj: [1024, 1024], fc1: [4096, 1024], fc2: [1024, 4096] };
const names = Array.from({ length: blocks }, (_, i) => i).flatMap((i) =>
  Object.entries(shapes).map(([name, shape]) => [`blocks.${i}.${name}.weight`, shape] as const),
);

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "large-"));
  path = join(folder, "large.pth");
  await writeArchive();
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes entry after entry, so that the test itself stays small. */
async function writeArchive(): Promise<void> {
  const file = await open(path, "w");
  const central: Uint8Array[] = [];
  let at = 0;
  const add = async (name: string, data: Uint8Array) => {
    const sizes = bytes(little(crc32(data), 4), little(data.length, 4), little(data.length, 4));
    const common = bytes(little(0, 8), sizes, little(name.length, 2), little(0, 2));
    const header = bytes("PK\x03\x04", little(0, 2), common, name);
    await file.writeFile(header);
    await file.writeFile(data);
    central.push(bytes("PK\x01\x02", little(0, 4), common, little(0, 10), little(at, 4), name));
    at += header.length + data.length;
  };
  const model = dict(
    ...names.map(([name, shape], i): [Uint8Array, Uint8Array] => {
      const [rows, columns] = shape as [number, number];
      const count = rows * columns;
      return [text(name), tensor({ key: `${i}`, count, shape: [...shape], strides: [columns, 1] })];
    }),
  );
  await add("large/data.pkl", pickle(dict([text("model"), model])));
  for (const [i, [, shape]] of names.entries()) {
    const [rows, columns] = shape as [number, number];
    await add(`large/data/${i}`, new Uint8Array(new Float32Array(rows * columns).fill(i).buffer));
  }
  const directory = bytes(...central);
  const count = little(central.length, 2);
  const end = bytes("PK\x05\x06", little(0, 4), count, count, little(directory.length, 4));
  await file.writeFile(bytes(directory, end, little(at, 4), little(0, 2)));
  await file.close();
}

async function measure(wanted: string): Promise<{ heldMiB: number; peakMiB: number }> {
  const main = fileURLToPath(new URL("./large-main.ts", import.meta.url));
  const tsconfig = fileURLToPath(new URL("../../../tsconfig.json", import.meta.url));
  const env = { ...process.env, TSX_TSCONFIG_PATH: tsconfig };
  const args = ["--import", "tsx", main, path, wanted];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const result = JSON.parse(stdout);
  console.log(wanted, result);
  return result;
}

describe("a checkpoint of 1.2 GB", () => {
  test("one tensor takes less than 100 MB over its size", async () => {
    const { heldMiB, peakMiB } = await measure("blocks.11.fc1.weight");
    expect(heldMiB).toBe(16);
    expect(peakMiB - heldMiB).toBeLessThan(95);
  });

  test("all tensors take less than 100 MB over their size", async () => {
    const { heldMiB, peakMiB } = await measure("all");
    expect(heldMiB).toBe(1152);
    expect(peakMiB - heldMiB).toBeLessThan(95);
  });
});

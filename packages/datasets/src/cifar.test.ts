import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { failure } from "../../../testing/failure.ts";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { loadCifar10, loadCifar100 } from "./cifar.ts";

const scratch = temporaryFolders("dmae-cifar");

/** A record whose red, green and blue planes count up from 0, 1 and 2. */
function record(...labels: number[]): Buffer {
  const planes = Array.from({ length: 3072 }, (_, i) => ((i % 1024) + Math.floor(i / 1024)) & 255);
  return Buffer.from([...labels, ...planes]);
}

async function folder(files: Record<string, Uint8Array>, inside = ""): Promise<string> {
  const path = scratch();
  await mkdir(join(path, inside), { recursive: true });
  for (const [name, bytes] of Object.entries(files))
    await writeFile(join(path, inside, name), bytes);
  return path;
}

const cifar10 = (test = record(7)) => ({
  ...Object.fromEntries(
    [1, 2, 3, 4, 5].map((i) => [`data_batch_${i}.bin`, Buffer.concat([record(i), record(9)])]),
  ),
  "test_batch.bin": test,
});

const fileFailure = (work: Promise<unknown>) => failure(work, "file");

test("five training files in order, planes interleaved to NHWC", async () => {
  const { train, test } = await loadCifar10(await folder(cifar10()));
  expect(train.length).toBe(10);
  expect(Array.from({ length: 10 }, (_, i) => train.get(i).label)).toEqual([
    1, 9, 2, 9, 3, 9, 4, 9, 5, 9,
  ]);
  expect(test.imageShape).toEqual([32, 32, 3]);
  expect(Array.from(test.pixels(0).data.subarray(0, 6))).toEqual([0, 1, 2, 1, 2, 3]);
  expect(Array.from(test.pixels(0).data.subarray(-3))).toEqual([255, 0, 1]);
  expect(test.classNames?.[test.get(0).label]).toBe("horse");
});

test("the folder of the official archive is found, class names are read", async () => {
  const names = `${Array.from({ length: 10 }, (_, i) => `class ${i}`).join("\n")}\n\n`;
  const files = { ...cifar10(), "batches.meta.txt": Buffer.from(names) };
  const data = await loadCifar10(await folder(files, "cifar-10-batches-bin"), { split: "test" });
  expect(data.classNames?.[7]).toBe("class 7");
  const wrong = { ...files, "batches.meta.txt": Buffer.from("one\ntwo\n") };
  expect((await fileFailure(loadCifar10(await folder(wrong)))).message).toContain("10 class names");
});

test("CIFAR-100 uses the fine label", async () => {
  const path = await folder({ "train.bin": record(19, 99), "test.bin": record(0, 42) });
  const { train, test } = await loadCifar100(path);
  expect([train.get(0).label, test.get(0).label]).toEqual([99, 42]);
  expect(train.numClasses).toBe(100);
  expect(test.pixels(0).data[0]).toBe(0);
  const wrong = await folder({ "train.bin": record(20, 1), "test.bin": record(0, 0) });
  expect((await fileFailure(loadCifar100(wrong))).details).toMatchObject({
    offset: 0,
    received: "20 in record 0",
  });
});

test("truncated, empty and missing files, labels out of range", async () => {
  const cut = Buffer.concat([record(1), record(2)]).subarray(0, 4000);
  const truncated = await fileFailure(loadCifar10(await folder(cifar10(cut))));
  expect(truncated.details).toMatchObject({ offset: 3073, received: "927 bytes at the end" });
  expect(truncated.message).toContain("test_batch.bin");
  expect(
    (await fileFailure(loadCifar10(await folder(cifar10(Buffer.alloc(0)))))).message,
  ).toContain("an empty file");
  const label = await fileFailure(
    loadCifar10(await folder(cifar10(Buffer.concat([record(3), record(10)])))),
  );
  expect(label.details).toMatchObject({
    offset: 3073,
    expected: "a label below 10",
    received: "10 in record 1",
  });
  const { "data_batch_3.bin": _, ...fewer } = cifar10() as Record<string, Buffer>;
  expect((await fileFailure(loadCifar10(await folder(fewer)))).message).toContain(
    "data_batch_3.bin",
  );
  expect((await fileFailure(loadCifar10(await folder({})))).message).toContain("it holds nothing");
  expect(
    (await fileFailure(loadCifar10(await folder(cifar10()), { maxBytes: 100 }))).message,
  ).toContain("maxBytes");
});

import { expect, test } from "vitest";
import { writeQueue } from "./write-queue.ts";

test("a write that fails is told at once and at the end, and keeps none of the others back", async () => {
  const told: unknown[] = [];
  const queue = writeQueue((error) => told.push(error));
  const written: number[] = [];
  const write = async (number: number) => written.push(number);
  const [first, second] = [new Error("the disk is full"), new Error("it still is")];
  queue.add(() => write(1));
  queue.add(() => Promise.reject(first));
  queue.add(() => write(2));
  queue.add(() => Promise.reject(second));
  queue.add(() => write(3));
  await expect(queue.end()).rejects.toBe(first);
  expect(written).toEqual([1, 2, 3]);
  expect(told).toEqual([first]);
});

test("writes that succeed end without an error", async () => {
  const queue = writeQueue(() => {});
  let written = "";
  for (const letter of "abc")
    queue.add(async () => {
      await Promise.resolve();
      written += letter;
    });
  await queue.end();
  expect(written).toBe("abc");
});

import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadCheckpoint } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "dmae-source-"));
const fixture = fileURLToPath(new URL("./__fixtures__/edge-zip.pth", import.meta.url));

test.runIf(process.platform === "linux")("no file is open between reads", async () => {
  const checkpoint = await loadCheckpoint(fixture);
  await checkpoint.read("f32");
  const open = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  expect(open).not.toContain(fixture);
});

test("a file that changes between reads is refused", async () => {
  const file = join(folder, "changing.pth");
  copyFileSync(fixture, file);
  const checkpoint = await loadCheckpoint(file);
  appendFileSync(file, "x");
  await expect(checkpoint.read("f32")).rejects.toThrow(
    /changed since it was opened; load it again/,
  );
});

test("folders, pipes and devices are named, and nothing waits for a pipe", async () => {
  await expect(loadCheckpoint(folder)).rejects.toThrow(/it is a folder, not a file/);
  if (process.platform === "win32") return;
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  await expect(loadCheckpoint(pipe)).rejects.toThrow(/no regular file/);
  await expect(loadCheckpoint("/dev/zero")).rejects.toThrow(/no regular file/);
});

test("a file with a hole of a terabyte does not exhaust the memory", async () => {
  const size = 2 ** 40;
  const header = `{"w":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}}`;
  const length = new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer);
  const file = join(folder, "hole.safetensors");
  writeFileSync(file, Buffer.concat([length, Buffer.from(header)]));
  truncateSync(file, 8 + header.length + size);
  const checkpoint = await loadCheckpoint(file);
  await expect(checkpoint.read("w")).rejects.toMatchObject({
    code: "file",
    message: expect.stringMatching(/"w" needs 1099511627776 bytes of memory/),
  });
});

import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withFileLock } from "./file-lock.ts";

let folder: string;
let lock: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
  lock = join(folder, "file.lock");
});
afterEach(() => rm(folder, { recursive: true }));

const options = { caller: "test", poll: 5, patience: 10 };
const held = (pid: number, host = hostname()) =>
  writeFile(lock, JSON.stringify({ pid, host, token: "another" }));

test("work under one lock never overlaps, and each gets its turn", async () => {
  let inside = 0;
  let most = 0;
  const done = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      withFileLock(lock, options, async () => {
        most = Math.max(most, ++inside);
        await sleep(3);
        inside--;
        return i;
      }),
    ),
  );
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(most).toBe(1);
  expect(await readdir(folder)).toEqual([]);
});

test("an error in the work lets go of the lock", async () => {
  const fails = withFileLock(lock, options, async () => Promise.reject(new Error("no")));
  await expect(fails).rejects.toThrow("no");
  expect(await readdir(folder)).toEqual([]);
});

test("the lock of a process that is gone is taken over at once", async () => {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  await held(pid);
  let waits = 0;
  await withFileLock(lock, { ...options, onWait: () => void waits++ }, async () => {
    expect(JSON.parse(await readFile(lock, "utf8")).pid).toBe(process.pid);
  });
  expect(waits).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

test("a lock of another machine is taken over once it shows no sign of life", async () => {
  await held(1, "elsewhere");
  let waits = 0;
  await withFileLock(lock, { ...options, onWait: () => void waits++ }, async () => {});
  expect(waits).toBe(10);
});

test("a lock that shows signs of life is waited for, until the signal", async () => {
  await held(1, "elsewhere");
  const stop = new AbortController();
  let waits = 0;
  const onWait = async () => {
    await writeFile(lock, JSON.stringify({ pid: 1, host: "elsewhere", token: String(waits) }));
    if (++waits === 40) stop.abort(new Error("enough"));
  };
  const waiting = withFileLock(lock, { ...options, signal: stop.signal, onWait }, async () => {
    throw new Error("got a lock that another holds");
  });
  await expect(waiting).rejects.toThrow("enough");
  expect(await readdir(folder)).toEqual(["file.lock"]);
});

test("work whose lock was lost is told so, and leaves the other's lock alone", async () => {
  const work = withFileLock(lock, options, async (signal) => {
    await held(1, "elsewhere");
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  await expect(work).rejects.toMatchObject({
    code: "file",
    message: `test: another process took ${lock} over`,
  });
  expect(JSON.parse(await readFile(lock, "utf8")).token).toBe("another");
});

test("a folder that is not there is an error, not a wait", async () => {
  const nowhere = join(folder, "no", "file.lock");
  await expect(withFileLock(nowhere, options, async () => {})).rejects.toMatchObject({
    code: "file",
  });
});

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { type LockOptions, lockFile } from "./lock-file.ts";
import { thisProcess } from "./process-identity.ts";

const folder = temporaryFolders("lock");
const place = () => join(folder(), "file.lock");
const options: LockOptions = { caller: "test", guarded: "the file", poll: 5, silence: 100 };
const there = (lock: string) => readdirSync(dirname(lock));

/** A lock as another process would have left it: without more, one of this machine and this namespace. */
const leave = async (lock: string, holder: object) =>
  writeFile(
    lock,
    JSON.stringify({
      ...(await thisProcess()),
      started: "",
      host: hostname(),
      token: "t",
      ...holder,
    }),
  );
const gone = () => spawnSync(process.execPath, ["--version"]).pid;
const elsewhere = { space: "another boot pid:[4026531836]" };
const onLinux = existsSync("/proc/self/ns/pid");

describe("a lock has one holder", () => {
  test("in one process; the second is refused, and gets it afterwards", async () => {
    const lock = place();
    const first = await lockFile(lock, options);
    await expect(lockFile(lock, options)).rejects.toMatchObject({
      code: "resume",
      message: `test: the file is being written by process ${process.pid} on ${hostname()}, this one; wait until it ends, or choose another one (if no such process is left, remove ${lock})`,
    });
    await first.check();
    await first.release();
    await (await lockFile(lock, options)).release();
    expect(there(lock)).toEqual([]);
  });

  test("work of those who wait never overlaps, and each gets its turn", async () => {
    const lock = place();
    let [inside, most, turns] = [0, 0, 0];
    const work = async () => {
      const mine = await lockFile(lock, { ...options, wait: true });
      most = Math.max(most, ++inside);
      await sleep(3);
      inside--;
      turns++;
      await mine.release();
    };
    await Promise.all(Array.from({ length: 8 }, work));
    expect([most, turns]).toEqual([1, 8]);
    expect(there(lock)).toEqual([]);
  });
});

describe("a lock that was left", () => {
  test.runIf(onLinux)("is taken over at once where its process is known to be gone", async () => {
    const lock = place();
    await leave(lock, { pid: gone() });
    await (await lockFile(lock, { ...options, silence: 1e9 })).release();
    await leave(lock, { pid: process.ppid, started: "12" }); // another process has its number now
    await (await lockFile(lock, { ...options, silence: 1e9 })).release();
    expect(there(lock)).toEqual([]);
  });

  test.runIf(onLinux)("is respected while its process runs, however silent it is", async () => {
    const lock = place();
    await leave(lock, { pid: process.ppid });
    utimesSync(lock, 1, 1); // 1970: no clock is compared with it
    await sleep(200);
    await expect(lockFile(lock, options)).rejects.toThrow(`by process ${process.ppid} on`);
    const stop = AbortSignal.timeout(300);
    await expect(lockFile(lock, { ...options, wait: true, signal: stop })).rejects.toMatchObject({
      name: "TimeoutError",
    });
    expect(there(lock)).toEqual(["file.lock"]);
  });

  test.each([
    ["a container of the same host name", { pid: 1, space: "" }],
    ["another boot, or machine", { pid: 1, ...elsewhere }],
    ["a file that is not finished", { pid: "?" }],
  ])("by %s is watched: taken over after a silence, not before", async (_, holder) => {
    const lock = place();
    await leave(lock, { ...holder, pid: holder.pid === 1 ? gone() : holder.pid });
    utimesSync(lock, 1, 1); // looks 50 years old by this clock, which says nothing of the other's
    const started = performance.now();
    await (await lockFile(lock, options)).release();
    expect(performance.now() - started).toBeGreaterThan(99); // a lower bound holds on any machine
    expect(there(lock)).toEqual([]);
  });

  test("is respected while it gives signs of life, whatever they say of the time", async () => {
    const lock = place();
    await leave(lock, { pid: gone(), ...elsewhere });
    let years = 0;
    const onWait = () => utimesSync(lock, ++years, years); // a clock far behind
    await expect(lockFile(lock, { ...options, onWait })).rejects.toThrow("is being written by");
    const stop = AbortSignal.timeout(400);
    const wait = { ...options, onWait, wait: true, signal: stop };
    await expect(lockFile(lock, wait)).rejects.toMatchObject({ name: "TimeoutError" });
    expect(years).toBeGreaterThan(2);
    expect(there(lock)).toEqual(["file.lock"]);
  });

  test("a standstill of the one who waits does not count as a silence", async () => {
    const lock = place();
    await leave(lock, { pid: gone(), ...elsewhere });
    let looks = 0;
    const onWait = () => {
      if (++looks > 1) return; // both stood still, e.g. in a machine that was paused
      for (const end = performance.now() + 150; performance.now() < end; );
    };
    await (await lockFile(lock, { ...options, onWait })).release();
    expect(looks).toBeGreaterThan(8);
  });

  test("goes to one of many that try at once", async () => {
    for (let round = 0; round < 20; round++) {
      const lock = place();
      await leave(lock, { pid: gone() });
      const tries = await Promise.allSettled(
        Array.from({ length: 8 }, () => lockFile(lock, options)),
      );
      const got = tries.flatMap((t) => (t.status === "fulfilled" ? [t.value] : []));
      const checks = await Promise.allSettled(got.map((mine) => mine.check()));
      expect(checks.filter((c) => c.status === "fulfilled").length).toBe(1);
      for (const mine of got) await mine.release();
      expect(there(lock)).toEqual([]);
    }
  });
});

test("the one whose lock was taken over is told so, and leaves the other's lock alone", async () => {
  const lock = place();
  const mine = await lockFile(lock, options);
  await leave(lock, { pid: 1, ...elsewhere, token: "another" });
  await once(mine.signal, "abort");
  expect(mine.signal.reason).toMatchObject({
    code: "resume",
    message:
      "test: the file was taken over by another process while this one stood still; let one of them go on",
  });
  await expect(mine.check()).rejects.toThrow("was taken over by another process");
  await mine.release();
  expect(JSON.parse(readFileSync(lock, "utf8")).token).toBe("another");
});

describe("a lock that cannot be", () => {
  test.each([
    ["in no folder", (lock: string) => join(lock, "no", "file.lock"), /cannot write .*ENOENT/],
    [
      "a folder",
      (lock: string) => mkdirSync(lock, { recursive: true }) ?? lock,
      /EISDIR.*it is a folder/,
    ],
    ["a dangling link", (lock: string) => symlinkSync("nowhere", lock) ?? lock, /cannot read/],
  ])("%s, is an error, not a wait", async (_, make, message) => {
    const file = make(place());
    const error = await lockFile(file, { ...options, wait: true }).catch((e: Error) => e);
    expect(error).toMatchObject({ code: "file" });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain("\n");
  });
});

describe.runIf(onLinux)("two processes", () => {
  const program = fileURLToPath(new URL("../__fixtures__/lock-holder.ts", import.meta.url));
  const start = (lock: string, prefix: readonly string[] = []) => {
    const [command, ...args] = [...prefix, process.execPath, "--import", "tsx", program, lock];
    return spawn(command!, args, { stdio: ["ignore", "pipe", "inherit"] });
  };
  const firstLine = async (child: ChildProcess) => String(await once(child.stdout!, "data"));

  test("the second is refused, and gets the lock once the first was killed", async () => {
    const lock = place();
    const first = start(lock);
    expect(await firstLine(first)).toContain("locked");
    await expect(lockFile(lock, options)).rejects.toThrow(`by process ${first.pid} on`);
    first.kill("SIGKILL");
    await once(first, "exit");
    expect(there(lock)).toEqual(["file.lock"]);
    await (await lockFile(lock, { ...options, silence: 1e9 })).release();
  });

  const isolated = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const canIsolate = spawnSync(isolated[0]!, [...isolated.slice(1), "true"]).status === 0;
  test.runIf(canIsolate)("of two containers with one host name keep each other out", async () => {
    const lock = place();
    const first = start(lock, isolated); // its number is 1 or 2 there, which is another process here
    expect(await firstLine(first)).toContain("locked");
    await expect(lockFile(lock, { ...options, silence: 60_000 })).rejects.toThrow(
      "is being written by process",
    );
    expect(readFileSync(lock, "utf8")).toContain(`"host":"${hostname()}"`);
    first.kill("SIGKILL");
    await once(first, "exit");
    expect(basename(lock)).toBe("file.lock");
    await (await lockFile(lock, { ...options, silence: 300 })).release();
  });
});

import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join, relative } from "node:path";
import { keepLibrary, runProgram, words } from "@dmae/core/native";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { cCompiler } from "./c-compiler.ts";

const folder = temporaryFolders("library-cache");
const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
const before = process.env.DMAE_CACHE;
let cache: string;
let made: number;
beforeEach(() => {
  cache = folder();
  process.env.DMAE_CACHE = cache;
  made = 0;
  warn.mockClear();
});
afterEach(() => {
  if (before === undefined) delete process.env.DMAE_CACHE;
  else process.env.DMAE_CACHE = before;
});

const code = new Uint8Array(1000).fill(7);
const keep = () =>
  keepLibrary("kernels-1.node", async () => {
    made++;
    return code;
  });
/** The library without the digest at its end. */
const contents = (path: string) => new Uint8Array(readFileSync(path).subarray(0, -64));
const isRoot = process.geteuid?.() === 0;

describe.runIf(process.platform === "linux")("a compiled library", () => {
  test("is made once, and readable and writable for its user only", async () => {
    const path = await keep();
    expect(await keep()).toBe(path);
    expect(made).toBe(1);
    expect(path).toBe(join(cache, "kernels", "kernels-1.node"));
    expect(contents(path)).toEqual(code);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(readdirSync(dirname(path))).toEqual(["kernels-1.node"]);
    expect(warn).not.toHaveBeenCalled();
  });

  test.each([
    ["truncated", (path: string) => truncateSync(path, 500)],
    ["empty", (path: string) => truncateSync(path, 0)],
    ["changed", (path: string) => writeFileSync(path, readFileSync(path).fill(8, 10, 11))],
    ["writable by a group", (path: string) => chmodSync(path, 0o660)],
    ["writable by everybody", (path: string) => chmodSync(path, 0o606)],
    ...(isRoot
      ? [["another user's", (path: string) => chownSync(path, 12345, 12345)] as const]
      : []),
  ] as const)("that is %s is made anew, not loaded", async (_, damage) => {
    damage(await keep());
    const path = await keep();
    expect(made).toBe(2);
    expect(contents(path)).toEqual(code);
    expect(statSync(path)).toMatchObject({ uid: process.geteuid!(), mode: 0o100600 });
  });

  test.each([
    ["writable by others", () => chmodSync(join(cache, "kernels"), 0o777), "by other users"],
    ["below one that everybody may change", () => chmodSync(cache, 0o777), "by everybody"],
    [
      "a file",
      () => [
        rmSync(join(cache, "kernels"), { recursive: true }),
        writeFileSync(join(cache, "kernels"), ""),
      ],
      "EEXIST",
    ],
    [
      "where nothing can be made",
      () => {
        process.env.DMAE_CACHE = "/proc/nowhere";
      },
      "ENOENT",
    ],
    ...(isRoot
      ? [
          [
            "another user's",
            () => chownSync(join(cache, "kernels"), 12345, 12345),
            "belongs to another user (12345)",
          ] as const,
        ]
      : []),
  ] as const)(
    "in a folder that is %s is made for this process, which one line says",
    async (_, spoil, reason) => {
      mkdirSync(join(cache, "kernels"), { mode: 0o700 });
      spoil();
      const path = await keep();
      expect(contents(path)).toEqual(code);
      expect(relative(tmpdir(), path)).toMatch(/^dmae-kernels-/);
      expect(made).toBe(1);
      const lines = warn.mock.calls.map(([line]) => line as string);
      expect(lines.length).toBe(1);
      expect(lines[0]).toMatch(
        /^kernels: compiled libraries cannot be kept, and are made for each process: .+$/,
      );
      expect(lines[0]).toContain(reason);
    },
  );

  test("of a relative DMAE_CACHE has an absolute path", async () => {
    process.env.DMAE_CACHE = relative(process.cwd(), cache);
    expect(isAbsolute(await keep())).toBe(true);
  });
});

describe.runIf(process.platform === "linux")("a compiler", () => {
  const program = (text: string) => {
    const file = join(folder(), "my compiler");
    writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return file;
  };

  test("may have spaces in its path, and words after it", async () => {
    const file = program('echo "$@"');
    expect(words(file)).toEqual([file]);
    expect(words(`"${file}" -m64  '-D X'`)).toEqual([file, "-m64", "-D X"]);
    expect(words("ccache gcc")).toEqual(["ccache", "gcc"]);
    expect(await runProgram(words(`'${file}' one`), ["two"], 5000)).toBe("one two\n");
    expect(await cCompiler(file)).not.toBeNull();
  });

  test("that hangs is ended, with what it started, and one line says so", async () => {
    const pid = join(folder(), "pid");
    const file = program(`trap '' TERM\nsleep 1000 & echo $! > ${pid}; wait`);
    const lines: string[] = [];
    expect(await cCompiler(file, (line) => lines.push(line), 1500)).toBeNull();
    expect(lines).toEqual([
      `kernels: the compiler ${file} does not answer (${file} took more than 1.5 s); working without it`,
    ]);
    const sleeping = Number(readFileSync(pid, "utf8"));
    await expect.poll(() => isAlive(sleeping)).toBe(false);
  });

  test("that is not there, or fails, is told in one line", async () => {
    const lines: string[] = [];
    expect(await cCompiler("/no/compiler", (line) => lines.push(line))).toBeNull();
    expect(
      await cCompiler(program("echo a >&2; echo b >&2; exit 1"), (line) => lines.push(line)),
    ).toBeNull();
    expect(lines.length).toBe(2);
    expect(lines[0]).toContain("ENOENT");
    expect(lines[1]).toContain("(a);");
  });
});

/** Whether a process runs; one that was ended may wait for its parent. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

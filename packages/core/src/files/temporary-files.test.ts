import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdir, rename, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { temporaryName } from "./temporary-files.ts";
import { writeAtomically } from "./write-atomically.ts";

const scratch = temporaryFolders("leftovers");

/** What is in the folder of `path` after it was saved. */
async function save(path: string): Promise<string[]> {
  await writeAtomically("test", path, "whole");
  return (await readdir(join(path, ".."))).sort();
}

/** A temporary file of `path` as process `pid` would name it, last written `minutes` ago. */
async function leave(path: string, pid: number, minutes = 0, machine = ""): Promise<string> {
  const name = (await temporaryName(path))
    .replace(`-${process.pid}-`, `-${pid}-`)
    .replace(/\.[0-9a-f]{8}-/, (own) => machine || own);
  await writeFile(name, "half");
  const then = Date.now() / 1000 - 60 * minutes;
  await utimes(name, then, then);
  return basename(name);
}

const gone = () => spawnSync(process.execPath, ["--version"]).pid;

test("a save removes what killed processes left of the same file, and nothing else", async () => {
  const path = join(scratch(), "last.safetensors");
  await leave(path, gone());
  await leave(path, gone(), 600);
  const others = [
    await leave(join(path, "../best.safetensors"), gone()), // another file: its own save removes it
    "last.safetensors.1-0.tmp.gz",
    "last.safetensors.tmp",
    "last.safetensors.notes-1-2.tmp",
  ];
  for (const name of others.slice(1)) await writeFile(join(path, "..", name), "");
  expect(await save(path)).toEqual([...others, "last.safetensors"].sort());
});

test("what may be being written stays until nobody has written to it for an hour", async () => {
  const path = join(scratch(), "last.safetensors");
  const elsewhere = ".0123abcd-";
  const writer = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  await once(writer, "spawn");
  const pid = writer.pid!;
  const young = [
    await leave(path, pid, 50),
    await leave(path, process.pid, 50), // another thread of this process
    await leave(path, gone(), 50, elsewhere),
    await leave(path, gone(), 50, ".00000000-"), // which machine is not known
  ];
  await leave(path, pid, 70);
  await leave(path, gone(), 70, elsewhere);
  expect(await save(path)).toEqual([...young, "last.safetensors"].sort());
  writer.kill();
  await once(writer, "exit");
  expect(await save(path)).toEqual([...young.slice(1), "last.safetensors"].sort());
});

test("saves of one file at a time leave one whole file and no other", async () => {
  const path = join(scratch(), "last.safetensors");
  await Promise.all(Array.from({ length: 8 }, () => save(path)));
  expect(await save(path)).toEqual(["last.safetensors"]);
  const { size } = await stat(path);
  await rename(path, `${path}.old`);
  await save(path);
  expect((await stat(path)).size).toBe(size);
});

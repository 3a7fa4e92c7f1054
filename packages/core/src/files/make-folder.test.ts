import { existsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { makeFolder } from "./make-folder.ts";

const scratch = temporaryFolders("make-folder");

test("makes what is missing above it, and is content with what is there", async () => {
  const folder = join(scratch(), "a", "b", "c");
  await Promise.all([makeFolder("test", folder), makeFolder("test", folder)]);
  await makeFolder("test", folder);
  expect(statSync(folder).isDirectory()).toBe(true);
});

test("a file, what is below one, and a dangling link are errors on one line", async () => {
  const folder = scratch();
  writeFileSync(join(folder, "file"), "");
  symlinkSync("/no/where", join(folder, "link"));
  for (const name of ["file", "file/x/y", "link", "link/x"]) {
    const error = await failure(makeFolder("test", join(folder, name)), "file");
    expect(error.message).toMatch(/^test: cannot make the folder .*$/);
  }
});

test.runIf(existsSync("/proc/self"))("where nothing can be made it ends", async () => {
  const error = await failure(makeFolder("test", "/proc/nowhere/x"), "file");
  expect(error.message).toContain("ENOENT");
});

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { temporaryFolders } from "../../../testing/temporary-folder.ts";
import { claimFolder } from "./run.ts";
import { testRecipes } from "./testing/recipes.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return { ...real, readFile: vi.fn(real.readFile) };
});

const folder = temporaryFolders("run");

test("a recipe.json that cannot be read is an error, not a folder to claim", async () => {
  const place = folder();
  const file = join(place, "recipe.json");
  await claimFolder(place, testRecipes.cr!, 0);
  const text = await readFile(file, "utf8");
  const refusal = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  vi.mocked(readFile).mockRejectedValueOnce(refusal);
  await expect(claimFolder(place, testRecipes.cr!, 1)).rejects.toThrow(
    `run folder: cannot read ${file}: EIO: i/o error, read`,
  );
  expect(await readFile(file, "utf8")).toBe(text);
});

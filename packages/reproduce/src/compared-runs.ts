import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { DmaeError } from "@dmae/core";
import { isClassifierRecipe, type Recipe } from "./recipe.ts";

/** A run that `--compare` names. */
export interface ComparedRun {
  readonly name: string;
  /** One folder, or one for each seed. */
  readonly folders: readonly string[];
  /** Noise levels that it certifies at; none for one that trains no classifier. */
  readonly sigmas: readonly number[];
}

/**
 * The run in a folder, or the runs of several seeds that `--seeds` made there.
 *
 * @throws DmaeError "file" for another folder
 */
export async function comparedRun(folder: string): Promise<ComparedRun> {
  const names = await readdir(folder).catch(() => []);
  const seeds = names.filter((name) => /^seed-\d+$/.test(name)).map((name) => join(folder, name));
  const folders = seeds.length > 0 ? seeds : [folder];
  const text = await readFile(join(folders[0]!, "recipe.json"), "utf8").catch((cause) => {
    const message = `--compare: ${folder} must be the folder of a run or of its --seeds, got one without recipe.json`;
    throw new DmaeError("file", message, { folder }, { cause });
  });
  const { recipe } = JSON.parse(text) as { readonly recipe: Recipe };
  const sigmas = isClassifierRecipe(recipe) ? recipe.certification.sigmas : [];
  return { name: basename(folder), folders, sigmas };
}

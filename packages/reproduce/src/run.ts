import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError, type Key, type World } from "@dmae/core";
import { fileError, writeAtomically } from "@dmae/core/files";
import type { Executor } from "@dmae/nn";
import type { Data } from "./data.ts";
import type { Options } from "./options.ts";
import type { Precision } from "./precision.ts";
import type { Recipe } from "./recipe.ts";
import { changedFields } from "./settings.ts";

/** What the stages of a run share. */
export interface Run {
  /** The recipe, settings applied. */
  readonly recipe: Recipe;
  /** The recipe as it is published, for the report. */
  readonly original: Recipe;
  /** Run folder. */
  readonly folder: string;
  /** Images. */
  readonly data: Data;
  /** Side of the images. */
  readonly side: number;
  /** Runs the steps. */
  readonly executor: Executor;
  /** Key of every draw. */
  readonly key: Key;
  /** The command line. */
  readonly options: Options;
  /** Stops the run. */
  readonly signal: AbortSignal;
  /** Tells the user. */
  readonly say: (line: string) => void;
  /** The processes that run it together; undefined for this one alone. */
  readonly world?: World | undefined;
}

/** Whether this process writes and tells what all ranks share. */
export const isFirst = (world: World | undefined): boolean => (world?.rank ?? 0) === 0;

/**
 * Makes the run folder, or checks that the one there is of the same training.
 *
 * @throws DmaeError "resume" naming the fields that differ
 */
export async function claimFolder(
  folder: string,
  recipe: Recipe,
  seed: number,
  precision: Precision = "float32",
): Promise<void> {
  const file = join(folder, "recipe.json");
  const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined; // a new folder
    throw fileError("run folder", "read", file, cause);
  });
  if (text !== undefined) {
    const before = JSON.parse(text) as {
      recipe: Recipe;
      seed: number;
      precision?: Precision;
    };
    const known = before.precision ?? "float32";
    const differences = [
      ...(before.recipe.name === recipe.name
        ? []
        : [`recipe: ${before.recipe.name} -> ${recipe.name}`]),
      ...(before.seed === seed ? [] : [`seed: ${before.seed} -> ${seed}`]),
      ...(known === precision ? [] : [`precision: ${known} -> ${precision}`]),
      ...(before.recipe.name === recipe.name ? changedFields(before.recipe, recipe) : []),
    ].filter((line) => !/^(certification|evaluation|ensemble\.consensus)/.test(line));
    if (differences.length > 0)
      throw new DmaeError(
        "resume",
        `run folder: ${folder} belongs to other settings (${differences.join("; ")}); choose another --folder`,
        { folder, differences },
      );
  }
  await writeWhole(file, `${JSON.stringify({ recipe, seed, precision }, null, 2)}\n`);
}

/** Adds a line to the run's `log.jsonl`. */
export async function logLine(
  run: Pick<Run, "folder" | "world">,
  line: Readonly<Record<string, unknown>>,
): Promise<void> {
  if (!isFirst(run.world)) return;
  const stamped = { time: new Date().toISOString(), ...line };
  await appendFile(join(run.folder, "log.jsonl"), `${JSON.stringify(stamped)}\n`);
}

/** Writes a file in one step that cannot be seen half done. */
export function writeWhole(file: string, content: string): Promise<void> {
  return writeAtomically("run folder", file, content);
}

/** A system error as one sentence; other errors as they are. */
export function explained(error: unknown, folder: string): unknown {
  const found = systemError(error);
  if (found === undefined) return error;
  if (found.code === "ENOSPC" || found.code === "EDQUOT")
    return new DmaeError(
      "file",
      `run folder: the disk of ${folder} is full; make room and start again, the run goes on from its last checkpoint`,
      { folder },
      { cause: error },
    );
  if (DmaeError.isInstance(error)) return error;
  return new DmaeError("file", `run folder: ${found.message}`, { folder }, { cause: error });
}

function systemError(error: unknown): NodeJS.ErrnoException | undefined {
  for (let e = error; e instanceof Error; e = e.cause)
    if (typeof (e as NodeJS.ErrnoException).syscall === "string") return e;
  return undefined;
}

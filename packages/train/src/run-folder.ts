import { decodeSafetensors, saveSafetensors } from "@dmae/checkpoint";
import { DmaeError, type HostTensor } from "@dmae/core";

/** A line of the log. */
export type LogLine = Readonly<Record<string, number | string | boolean>>;

/** A saved state. */
export interface SavedState {
  /** Steps done when it was saved. */
  readonly step: number;
  /** The state. */
  readonly state: Record<string, HostTensor>;
  /** What `save` was given besides. */
  readonly extra: Readonly<Record<string, string>>;
}

/**
 * The folder of one run: `run.json` (what is run), `log.jsonl` (one line a step or an evaluation),
 * `last.safetensors` (the state to resume from), `best.safetensors`, `step-<n>.safetensors`.
 */
export interface RunFolder {
  /** The newest state, if there is one. */
  load(): Promise<SavedState | undefined>;
  /** Writes a state atomically under `name` (`last`, `best`, `step-100`). */
  save(
    name: string,
    step: number,
    state: Readonly<Record<string, HostTensor>>,
    extra?: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** Adds a line to the log; written out by `flush`. */
  log(line: LogLine): void;
  /** Writes the waiting lines. */
  flush(): Promise<void>;
  /** Drops log lines of steps after `step`: a resumed run writes them again. */
  truncateLog(step: number): Promise<void>;
}

/**
 * Opens or creates a run folder.
 *
 * @param recipe everything that decides the numbers, as plain JSON; a folder that holds another recipe is
 *   refused
 * @throws DmaeError "resume" naming the fields that differ; "file" for a `run.json` that is not JSON
 */
export async function openRunFolder(folder: string, recipe: unknown): Promise<RunFolder> {
  const { mkdir, readFile, appendFile } = await import("node:fs/promises");
  const { join } = await import("node:path");
  await inFolder(folder, () => mkdir(folder, { recursive: true }));
  const logFile = join(folder, "log.jsonl");
  const text = async (file: string) => {
    try {
      return await readFile(file, "utf8");
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return undefined;
      throw error;
    }
  };
  await claim(folder, await text(join(folder, "run.json")), recipe);
  let waiting = "";
  return {
    async load() {
      const file = join(folder, "last.safetensors");
      const bytes = await readFile(file).catch((error: { code?: string }) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      });
      if (bytes === undefined) return undefined;
      const { tensors, metadata } = decodeState(file, bytes);
      const { step, run: _, ...extra } = metadata;
      if (!/^\d+$/.test(step ?? ""))
        throw new DmaeError("resume", `fit: ${file} must name its step, got ${step}`, { file });
      return { step: Number(step), state: { ...tensors }, extra };
    },
    save: (name, step, state, extra = {}) =>
      saveSafetensors(join(folder, `${name}.safetensors`), state, {
        ...extra,
        run: JSON.stringify(recipe), // so that a checkpoint that was copied elsewhere still says what it is
        step: String(step),
      }),
    log(line) {
      waiting += `${JSON.stringify(line)}\n`;
    },
    async flush() {
      const lines = waiting;
      waiting = "";
      if (lines !== "") await inFolder(folder, () => appendFile(logFile, lines));
    },
    async truncateLog(step) {
      const lines = await text(logFile);
      if (lines === undefined) return;
      const kept = lines.split("\n").filter((line) => stepOf(line) <= step);
      await inFolder(folder, () => writeWhole(logFile, kept.map((line) => `${line}\n`).join("")));
    },
  };
}

/** Runs `action`; what the file system refuses becomes a typed error. */
async function inFolder<T>(folder: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError(
      "file",
      `fit: ${folder} must be a folder that can be written to: ${reason}`,
      { folder },
      { cause },
    );
  }
}

function decodeState(file: string, bytes: Uint8Array) {
  try {
    return decodeSafetensors(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError(
      "file",
      `fit: ${file} must be a whole checkpoint: ${reason}; put an earlier step-<n>.safetensors in its place, or remove it`,
      { file },
      { cause },
    );
  }
}

/** Writes `run.json`, or compares the one that is there. */
async function claim(folder: string, found: string | undefined, recipe: unknown): Promise<void> {
  const { join } = await import("node:path");
  const file = join(folder, "run.json");
  const wanted = JSON.stringify({ format: 1, recipe }, null, 2);
  if (found === undefined) return inFolder(folder, () => writeWhole(file, `${wanted}\n`));
  let other: unknown;
  try {
    other = JSON.parse(found);
  } catch (cause) {
    throw new DmaeError(
      "file",
      `fit: ${file} must be JSON; remove the folder to start over`,
      { file },
      { cause },
    );
  }
  const differences = differingFields(other, JSON.parse(wanted));
  if (differences.length > 0)
    throw new DmaeError(
      "resume",
      `fit: ${folder} belongs to a run with other settings (${differences.join("; ")}); ` +
        "choose another folder, or remove this one to start over",
      { folder, differences },
    );
}

/** The step of a log line; infinite for a torn one, so that it is dropped. */
function stepOf(line: string): number {
  try {
    const { step } = JSON.parse(line) as { step?: unknown };
    return typeof step === "number" ? step : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

async function writeWhole(file: string, content: string): Promise<void> {
  const { open, rename } = await import("node:fs/promises");
  const part = `${file}.part`;
  const handle = await open(part, "w");
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
}

/** `path: before -> after` for each leaf in which two JSON values differ. */
export function differingFields(before: unknown, after: unknown, path = ""): string[] {
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) =>
      differingFields(before[name], after[name], path === "" ? name : `${path}.${name}`),
    );
  }
  const [a, b] = [JSON.stringify(before), JSON.stringify(after)];
  return a === b ? [] : [`${path}: ${a} there, ${b} now`];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

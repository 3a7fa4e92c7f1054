import { decodeSafetensors, saveSafetensors } from "@dmae/checkpoint";
import { DmaeError, type HostTensor } from "@dmae/core";
import { fileError, lockFile, makeFolder, writeAtomically } from "@dmae/core/files";

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
 * `last.safetensors` (the state to resume from), `best.safetensors`, `step-<n>.safetensors`; while a process
 * writes to it, `run.lock`.
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
  /**
   * Checks, before anything is computed, that the disk has room for a checkpoint of `state`.
   *
   * @throws DmaeError "file" naming how much is needed and how much is free
   */
  requireRoom(state: Readonly<Record<string, HostTensor>>): Promise<void>;
  /** Lets other processes write to the folder. */
  close(): Promise<void>;
}

/**
 * Opens or creates a run folder. One process at a time may have it open: {@link RunFolder.close} it.
 *
 * @param recipe everything that decides the numbers, as plain JSON; a folder that holds another recipe is
 *   refused
 * @throws DmaeError "resume" naming the fields that differ, or the process that writes to the folder; "file"
 *   for a `run.json` that is not JSON, or where the folder cannot be written to
 */
export async function openRunFolder(folder: string, recipe: unknown): Promise<RunFolder> {
  const { join } = await import("node:path");
  await makeFolder("fit", folder);
  const lock = await lockFile(join(folder, "run.lock"), { caller: "fit", guarded: folder });
  try {
    await claim(folder, recipe);
    await refuseFolders(folder);
    const log = await openLog(join(folder, "log.jsonl"));
    return {
      load: () => loadState(join(folder, "last.safetensors")),
      async save(name, step, state, extra = {}) {
        await lock.check();
        await saveSafetensors(join(folder, `${name}.safetensors`), state, {
          ...extra,
          run: JSON.stringify(recipe), // so that a checkpoint that was copied elsewhere still says what it is
          step: String(step),
        });
      },
      log: (line) => log.add(`${JSON.stringify(line)}\n`),
      async flush() {
        await lock.check();
        await log.flush();
      },
      truncateLog: (step) => log.truncate(step),
      requireRoom: (state) => requireRoom(folder, state),
      close: () => lock.release(),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The newest state, if the file is there. */
async function loadState(file: string): Promise<SavedState | undefined> {
  const bytes = await readIfExists(file);
  if (bytes === undefined) return undefined;
  const { tensors, metadata } = decodeState(file, bytes);
  const { step, run: _, ...extra } = metadata;
  if (!/^\d+$/.test(step ?? ""))
    throw new DmaeError("resume", `fit: ${file} must name its step, got ${step}`, { file });
  return { step: Number(step), state: { ...tensors }, extra };
}

async function readIfExists(file: string): Promise<Uint8Array | undefined> {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (cause) {
    if ((cause as { code?: string }).code === "ENOENT") return undefined;
    throw fileError("fit", "read", file, cause);
  }
}

/** The log, whose lines wait to be written with the next checkpoint. */
async function openLog(file: string) {
  const { appendFile } = await import("node:fs/promises");
  const append = async (lines: string) => {
    try {
      await appendFile(file, lines, { flush: true } as object);
    } catch (cause) {
      throw fileError("fit", "write", file, cause);
    }
  };
  await append(""); // before anything is computed
  let waiting = "";
  return {
    add(line: string) {
      waiting += line;
    },
    async flush() {
      const lines = waiting;
      waiting = "";
      if (lines !== "") await append(lines);
    },
    async truncate(step: number) {
      const lines = new TextDecoder().decode(await readIfExists(file)).split("\n");
      const kept = lines.filter((line) => stepOf(line) <= step);
      await writeAtomically("fit", file, kept.map((line) => `${line}\n`).join(""));
    },
  };
}

/** A folder in the place of a checkpoint would only be noticed once there is something to lose. */
async function refuseFolders(folder: string): Promise<void> {
  const { readdir } = await import("node:fs/promises");
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory() && /^(last|best|step-\d+)\.safetensors$/.test(entry.name))
      throw new DmaeError(
        "file",
        `fit: ${folder}/${entry.name} must be a file, got a folder; move it away`,
        { folder },
      );
}

async function requireRoom(
  folder: string,
  state: Readonly<Record<string, HostTensor>>,
): Promise<void> {
  const { statfs } = await import("node:fs/promises");
  const needed = Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0);
  const disk = await statfs(folder).catch(() => undefined);
  const free = disk ? disk.bavail * disk.bsize : Number.POSITIVE_INFINITY;
  if (free >= needed) return;
  throw new DmaeError(
    "file",
    `fit: a checkpoint needs ${needed} bytes in ${folder}, whose disk has ${free} left; make room, or choose another folder`,
    { folder, needed, free },
  );
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

/** The key of a run is what its seed is turned into. */
const nameOf = (path: string) => (/\.key\.(low|high)$/.test(path) ? `seed (${path})` : path);

/** The kind of training in a `run.json`, such as `pretrain`; undefined where `fit` was called with a recipe of the user's. */
const taskOf = (run: unknown) => (run as { recipe?: { task?: string } } | null)?.recipe?.task;

/** Writes `run.json`, or compares the one that is there. */
async function claim(folder: string, recipe: unknown): Promise<void> {
  const { join } = await import("node:path");
  const file = join(folder, "run.json");
  const wanted = JSON.stringify({ format: 1, recipe }, null, 2);
  const bytes = await readIfExists(file);
  if (bytes === undefined) return writeAtomically("fit", file, `${wanted}\n`);
  let other: unknown;
  try {
    other = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new DmaeError(
      "file",
      `fit: ${file} must be JSON; remove the folder to start over`,
      { file },
      { cause },
    );
  }
  const [tasks] = differences(taskOf(other), taskOf(JSON.parse(wanted)));
  if (tasks)
    throw new DmaeError(
      "resume",
      `fit: ${folder} holds another kind of run (${tasks.before} there, ${tasks.after} now); give each training a folder of its own`,
      { folder },
    );
  const found = differences(other, JSON.parse(wanted)).map(
    ({ path, before, after }) => `${nameOf(path)}: ${before} there, ${after} now`,
  );
  if (found.length > 0)
    throw new DmaeError(
      "resume",
      `fit: ${folder} belongs to a run with other settings (${found.join("; ")}); ` +
        "choose another folder, or remove this one to start over",
      { folder, differences: found },
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

/** A leaf in which two JSON values differ, its values as JSON. */
export interface Difference {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** The leaves in which two JSON values differ. */
export function differences(before: unknown, after: unknown, path = ""): Difference[] {
  if (isRecord(before) && isRecord(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) =>
      differences(before[name], after[name], path === "" ? name : `${path}.${name}`),
    );
  }
  const [a, b] = [JSON.stringify(before), JSON.stringify(after)];
  return a === b ? [] : [{ path, before: a, after: b }];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

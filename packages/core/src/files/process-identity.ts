/** A process, as another one can look for it. */
export interface ProcessIdentity {
  readonly pid: number;
  /**
   * Where its number means something: the boot of the machine and the namespace of process numbers
   * (each container has its own). "" where the system does not say: hosts and containers may share a
   * name, so a name proves nothing.
   */
  readonly space: string;
  /** When it started, in ticks since the boot: tells a later process of the same number. "" if unknown. */
  readonly started: string;
}

let known: Promise<ProcessIdentity> | undefined;

/** This process. */
export function thisProcess(): Promise<ProcessIdentity> {
  known ??= identify();
  return known;
}

/** Whether a process runs, is known to be gone, or cannot be seen from here. */
export async function stateOf({
  pid,
  space,
  started,
}: ProcessIdentity): Promise<"runs" | "gone" | "unknown"> {
  const own = await thisProcess();
  if (own.space === "" || space !== own.space) return "unknown";
  if (isGone(pid)) return "gone";
  const now = await startOf(pid);
  return now === "" || started === "" || now === started ? "runs" : "gone";
}

/** Whether no process of this number runs in the namespace of this one. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0); // asks whether it runs
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

async function identify(): Promise<ProcessIdentity> {
  const { readlink } = await import("node:fs/promises");
  const { pid } = process;
  const boot = await readText("/proc/sys/kernel/random/boot_id");
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
  const space = boot && namespace ? `${boot.trim()} ${namespace}` : "";
  return { pid, space, started: await startOf(pid) };
}

/** The start of a process; "dead" for one that only waits for its parent to take note. */
async function startOf(pid: number): Promise<string> {
  const { readlink } = await import("node:fs/promises");
  // /proc may be mounted for another namespace, where this number is another process
  if ((await readlink("/proc/self").catch(() => "")) !== String(process.pid)) return "";
  const stat = await readText(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" "); // after the name, which may hold spaces
  if (!fields?.[19]) return "";
  return fields[0] === "Z" || fields[0] === "X" ? "dead" : fields[19];
}

async function readText(file: string): Promise<string | undefined> {
  const { readFile } = await import("node:fs/promises");
  return readFile(file, "utf8").catch(() => undefined);
}

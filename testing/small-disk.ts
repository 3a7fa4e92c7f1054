import { type SpawnSyncReturns, spawnSync } from "node:child_process";

/** Whether this user may mount a disk in a namespace of its own. */
export const canMount =
  spawnSync("unshare", ["--mount", "sh", "-c", "mount -t tmpfs t /mnt"]).status === 0;

/**
 * Runs a command while `folder` is a disk of its own that nobody else sees and that is gone afterwards.
 *
 * @param options of `mount`, e.g. `size=64k` or `ro`
 */
export function onDisk(
  folder: string,
  options: string,
  command: readonly string[],
): SpawnSyncReturns<string> {
  const script = 'mount -t tmpfs -o "$1" t "$2" && shift 2 && exec "$@"';
  return spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", options, folder, ...command], {
    encoding: "utf8",
  });
}

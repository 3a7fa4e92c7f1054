/**
 * The folder that downloads go to: `DMAE_CACHE` if set, else `dmae` in the cache folder of the system
 * (`XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches`; `%LOCALAPPDATA%`). Node only.
 */
export async function cacheFolder(): Promise<string> {
  const { homedir } = await import("node:os");
  const { join, resolve } = await import("node:path");
  const { env, platform } = process;
  if (env.DMAE_CACHE) return resolve(env.DMAE_CACHE);
  if (env.XDG_CACHE_HOME) return resolve(env.XDG_CACHE_HOME, "dmae");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "dmae");
  if (platform === "win32" && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, "dmae");
  return join(homedir(), ".cache", "dmae");
}

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Runs the command line over the test recipes in a process of its own; kills it hard when it prints `until`.
 *
 * @throws Error with the output where it ends otherwise than it should
 */
export async function startProcess(
  args: readonly string[],
  { cache, until }: { readonly cache: string; readonly until: string | undefined },
): Promise<void> {
  const root = fileURLToPath(new URL("../../../..", import.meta.url));
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", main, ...args], {
    cwd: root, // its tsconfig maps our packages to their sources
    env: { ...process.env, DMAE_CACHE: cache, NODE_OPTIONS: "" },
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk;
    if (until !== undefined && output.includes(until)) child.kill("SIGKILL");
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("close", (...ended) => resolve(ended)),
  );
  if (until === undefined ? code !== 0 : signal !== "SIGKILL")
    throw new Error(`ended with ${code ?? signal}:\n${output}`);
}

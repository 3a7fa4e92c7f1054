import { runCommand } from "./run-command.ts";

/** Why something did not load: what the child process left behind. */
export interface LoadFailure {
  readonly failure: string;
  /** All that it wrote to standard error. */
  readonly details: string;
}

/** A library that is no addon loads and is then refused: what counts is which of the two errors comes. */
const loadLibraries = `
const results = {};
for (const path of process.argv.slice(1)) {
  try { process.dlopen({ exports: {} }, path); } catch (error) {
    results[path] = /self-register|register itself|napi_register/.test(error.message) ? "" : error.message;
  }
}
console.log("probe:" + JSON.stringify(results));
`;

/** Opens shared libraries in a process of its own; for each the loader's complaint, or "". */
export const probeLibraries = (
  paths: readonly string[],
): Promise<Record<string, string> | LoadFailure> => probe(loadLibraries, paths);

/**
 * Runs a script in a process of its own, where a crash harms nobody.
 *
 * @param script prints `probe:` and JSON
 */
export async function probe<Result>(
  script: string,
  parameters: readonly string[],
): Promise<Result | LoadFailure> {
  const env = { TF_CPP_MIN_LOG_LEVEL: "1", ...process.env, NODE_OPTIONS: "" };
  const { status, signal, stdout, stderr } = await runCommand(
    process.execPath,
    ["--no-deprecation", "-e", script, "--", ...parameters],
    { env, timeout: 300_000 },
  );
  const answer = /^probe:(.*)$/m.exec(stdout)?.[1];
  if (status === 0 && answer !== undefined) return JSON.parse(answer) as Result;
  const complaint = /^(?:\w*Error: )(.*)$/m.exec(stderr)?.[1] ?? stderr.trim().split("\n").at(-1);
  return {
    failure:
      signal === undefined
        ? complaint || `exit status ${status}`
        : `ended by ${signal}: ${complaint}`,
    details: stderr,
  };
}

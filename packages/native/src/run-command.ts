import { spawn } from "node:child_process";

/** How a command ended. */
export interface CommandResult {
  /** The exit status; undefined when it could not be started or was killed. */
  readonly status: number | undefined;
  /** The signal that ended it. */
  readonly signal: string | undefined;
  /** True when there is no such program. */
  readonly missing: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell and collects what it prints; never throws. */
export function runCommand(
  program: string,
  parameters: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly timeout?: number;
  } = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
    child.on("error", (error: NodeJS.ErrnoException) =>
      resolve({
        status: undefined,
        signal: undefined,
        missing: error.code === "ENOENT",
        stdout,
        stderr: stderr || error.message,
      }),
    );
    child.on("close", (status, signal) =>
      resolve({
        status: status ?? undefined,
        signal: signal ?? undefined,
        missing: false,
        stdout,
        stderr,
      }),
    );
  });
}

import { builtin } from "./node.ts";

/** The words of a command: quotes hold one together, and so does a file of the whole name. */
export function words(command: string): readonly string[] {
  const { existsSync } = builtin<typeof import("node:fs")>("node:fs")!;
  if (existsSync(command)) return [command];
  const found = command.matchAll(/"([^"]*)"|'([^']*)'|\S+/g);
  return [...found].map(([word, double, single]) => double ?? single ?? word);
}

/**
 * Runs a program and returns what it prints. It, and every process that it has started, is ended after
 * `patience` milliseconds.
 */
export function runProgram(
  [program, ...first]: readonly string[],
  args: readonly string[],
  patience: number,
): Promise<string> {
  const { spawn } = builtin<typeof import("node:child_process")>("node:child_process")!;
  return new Promise((resolve, reject) => {
    // a group of its own, so that no compiler that a wrapper started outlives it
    const child = spawn(program ?? "", [...first, ...args], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    const timer = setTimeout(() => {
      end(child.pid);
      reject(new Error(`${program} took more than ${patience / 1000} s`));
    }, patience);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(output.stdout);
      else reject(new Error(output.stderr.trim() || `${program} ended with ${code ?? signal}`));
    });
  });
}

function end(group: number | undefined): void {
  try {
    if (group) process.kill(-group, "SIGKILL");
  } catch {
    // it has ended meanwhile
  }
}

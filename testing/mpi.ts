import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { mpiCompiler } from "../packages/distributed/src/addon.ts";
import { trialEnvironment } from "../packages/distributed/src/trial-environment.ts";

const answers = (command: string, argument: string) =>
  spawnSync(command, [argument], { stdio: "ignore" }).status === 0;

/** Whether this machine can start ranks. */
export const hasMpi = answers(mpiCompiler(), "--version") && answers("mpirun", "--version");
if (!hasMpi)
  console.log("MPI: skipped, no mpirun or mpicc (apt-get install openmpi-bin libopenmpi-dev)");

/** How a job ended. */
export interface Job {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** A job that runs, and its process. */
export interface StartedJob {
  readonly pid: number;
  readonly ended: Promise<Job>;
}

/** Starts a TypeScript program on `size` ranks, or on one without a launcher. */
export function startRanks(
  size: number,
  program: URL,
  args: readonly string[],
  onOutput: (text: string) => void = () => {},
): StartedJob {
  const command = [process.execPath, "--import", "tsx", fileURLToPath(program), ...args];
  const launcher = size === 1 ? [] : ["mpirun", "-n", String(size)];
  const [file, ...rest] = [...launcher, ...command];
  const started = performance.now();
  const child = spawn(file!, rest, {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, ...trialEnvironment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      if (name === "stdout") onOutput(text);
    });
  const ended = new Promise<Job>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ code, ...output, seconds: (performance.now() - started) / 1000 }),
    );
  });
  return { pid: child.pid!, ended };
}

/** Runs a TypeScript program on `size` ranks. */
export const runRanks = (size: number, program: URL, args: readonly string[]): Promise<Job> =>
  startRanks(size, program, args).ended;

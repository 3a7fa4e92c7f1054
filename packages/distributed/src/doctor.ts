import process from "node:process";
import { runProgram, words } from "@dmae/core/native";
import { gatherTexts } from "@dmae/core/ranks";
import { buildAddon, loadAddon, mpiCompiler, noCompiler } from "./addon.ts";
import { launchedBy } from "./launcher.ts";
import { libraryOf, type MpiWorld, mpiWorld } from "./mpi-world.ts";
import { trialEnvironment } from "./trial-environment.ts";

/** Milliseconds that two ranks may take to meet. */
const MEETING = 60_000;

type Print = (line: string) => void;

const row = (name: string, text: string) => `${name.padEnd(10)} ${text}`;

/**
 * Tells which MPI is installed, which launcher started this process, and whether ranks see each other. Started alone,
 * it starts two ranks with `mpirun` (`MPIRUN` names another launcher); started as a rank, it looks at its own job.
 *
 * @param self the script that two ranks are started with
 * @returns whether all is well
 */
export async function doctor(self: string, print: Print): Promise<boolean> {
  const launched = launchedBy(process.env);
  if (launched !== undefined) {
    const ranks = await mpiWorld(launched);
    await reportRanks(ranks, `${launched.launcher} (${launched.variable})`, print);
    return true;
  }
  const library = await attempt(print, "compiler", async () => {
    const command = mpiCompiler();
    const asked = runProgram(words(command), ["--version"], MEETING);
    const text = await asked.catch((error) => noCompiler(command, error));
    return `${command}: ${text.split("\n", 1)[0]}`;
  });
  const addon =
    library &&
    (await attempt(print, "addon", async () => {
      const path = await buildAddon();
      loadAddon(path);
      return path;
    }));
  return addon && attempt(print, "launcher", () => startTwo(self, print));
}

async function attempt(print: Print, name: string, check: () => Promise<string>): Promise<boolean> {
  try {
    print(row(name, await check()));
    return true;
  } catch (error) {
    print(row(name, (error as Error).message));
    return false;
  }
}

async function startTwo(self: string, print: Print): Promise<string> {
  const launcher = process.env.MPIRUN || "mpirun";
  const [version] = (await runProgram(words(launcher), ["--version"], MEETING)).split("\n");
  Object.assign(process.env, trialEnvironment);
  const command = [...words(launcher), "-n", "2", process.execPath, self, "doctor"];
  const output = await runProgram(command, [], MEETING);
  for (const line of output.trimEnd().split("\n")) print(line);
  return `${launcher}: ${version}`;
}

async function reportRanks(ranks: MpiWorld, launcher: string, print: Print): Promise<void> {
  const { facts, rank, size } = ranks;
  const hosts = await gatherTexts(ranks, facts.host);
  const data = new Float32Array(1 << 20).fill(1);
  await ranks.allReduce(data);
  const started = performance.now();
  await ranks.allReduce(data);
  const milliseconds = (performance.now() - started).toFixed(1);
  if (rank !== 0) return;
  const places = [...new Set(hosts)].map(
    (host) => `${hosts.filter((other) => other === host).length} on ${host}`,
  );
  print(row("library", libraryOf(facts)));
  print(row("started by", launcher));
  print(row("ranks", `${size} see each other: ${places.join(", ")}`));
  print(row("all-reduce", `4 MiB in ${milliseconds} ms`));
}

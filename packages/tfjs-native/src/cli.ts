import { parseArgs } from "node:util";
import { doctor } from "./doctor.ts";
import { TfjsNativeError } from "./errors.ts";
import { link } from "./link.ts";
import { unlink } from "./unlink.ts";

const usage = `tfjs-native: @tensorflow/tfjs-node on a current TensorFlow

  tfjs-native link      compile the installed addon against a TensorFlow wheel
      --tensorflow X    release to fetch: 2.16.2 2.17.1 2.18.1 (default) 2.19.1 2.20.0 2.21.0
      --gpu             the CUDA build with its libraries (2.4 GB, 3.8 GB unpacked)
      --python PATH     use the TensorFlow of this Python or virtual environment
      --wheel FILE      use this wheel (repeat it for the nvidia-* wheels of a CUDA build)
      --cache DIR       where fetched releases are kept (default ~/.cache/tfjs-native)
      --force           compile even when nothing changed
  tfjs-native doctor    say what is there, what does not fit and the command that mends it
  tfjs-native unlink    take the addon away, put back the one that was there

  all: --project DIR (default .), --json
`;

const options = {
  project: { type: "string" },
  tensorflow: { type: "string" },
  python: { type: "string" },
  wheel: { type: "string", multiple: true },
  cache: { type: "string" },
  gpu: { type: "boolean" },
  force: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** The command: returns its exit status. Results go to `print`, progress to `progress`. */
export async function main(
  parameters: readonly string[],
  print: (text: string) => void,
  progress: (line: string) => void,
): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...parameters],
      options,
      allowPositionals: true,
    });
    const { wheel, json = false, help = false, ...rest } = values;
    const command = positionals.length === 1 ? positionals[0] : undefined;
    if (help || command === undefined) {
      print(usage);
      return help ? 0 : 2;
    }
    if (command === "link")
      return await runLink({ ...rest, wheels: wheel ?? [], report: progress }, json, print);
    if (command === "doctor") return await runDoctor(rest, json, print);
    if (command === "unlink") return await runUnlink(rest, json, print);
    print(usage);
    return 2;
  } catch (error) {
    if (
      !(
        error instanceof TfjsNativeError ||
        (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") ||
        typeof (error as NodeJS.ErrnoException).syscall === "string" // e.g. a full disk
      )
    ) {
      throw error;
    }
    progress((error as Error).message);
    return 1;
  }
}

async function runLink(
  settings: NonNullable<Parameters<typeof link>[0]>,
  json: boolean,
  print: (text: string) => void,
): Promise<number> {
  const result = await link(settings);
  const { version, build } = result.tensorflow;
  if (json) print(JSON.stringify(result, null, 2));
  else {
    const what = result.status === "linked" ? "linked to" : "already linked to";
    print(`${result.addon}: ${what} TensorFlow ${version} (${build})`);
    for (const warning of result.warnings) print(`warning: ${warning}`);
  }
  return 0;
}

async function runDoctor(
  settings: NonNullable<Parameters<typeof doctor>[0]>,
  json: boolean,
  print: (text: string) => void,
): Promise<number> {
  const report = await doctor(settings);
  if (json) print(JSON.stringify(report, null, 2));
  else {
    const marks = { ok: "ok  ", warning: "warn", failure: "FAIL" };
    for (const { name, status, found, fix } of report.checks) {
      print(
        `${marks[status]}  ${name.padEnd(10)}  ${found}${fix === undefined ? "" : `\n${" ".repeat(18)}-> ${fix}`}`,
      );
    }
  }
  return report.ok ? 0 : 1;
}

async function runUnlink(
  settings: NonNullable<Parameters<typeof unlink>[0]>,
  json: boolean,
  print: (text: string) => void,
): Promise<number> {
  const result = await unlink(settings);
  if (json) print(JSON.stringify(result, null, 2));
  else
    print(
      result.status === "unlinked"
        ? `${result.addon}: taken away`
        : `${result.addon}: there was none`,
    );
  return 0;
}

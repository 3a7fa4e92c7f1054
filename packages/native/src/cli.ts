import { parseArgs } from "node:util";
import { doctor } from "./doctor.ts";
import { NativeError } from "./errors.ts";
import { linkTensorFlow } from "./tensorflow/link.ts";
import { unlinkTensorFlow } from "./tensorflow/unlink.ts";

const usage = `native: links native runtimes for JavaScript to what PyPI's wheels hold

  native link tensorflow    compile the addon of @tensorflow/tfjs-node against a TensorFlow wheel
      --tensorflow X        release to fetch: 2.16.2 2.17.1 2.18.1 (default) 2.19.1 2.20.0 2.21.0
      --gpu                 the CUDA build with its libraries (2.4 GB, 3.8 GB unpacked)
      --python PATH         use the TensorFlow of this Python or virtual environment
      --wheel FILE          use this wheel (repeat it for the nvidia-* wheels of a CUDA build)
      --cache DIR           where fetched releases are kept (default ~/.cache/dmae/native)
      --force               compile even when nothing changed
  native doctor             say what is there, what does not fit and the command that fixes it
  native unlink tensorflow  remove the addon, restore the one that was there

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
    const command = help ? "help" : positionals.join(" ");
    if (command === "link tensorflow")
      return await runLink({ ...rest, wheels: wheel ?? [], report: progress }, json, print);
    if (command === "unlink tensorflow") return await runUnlink(rest, json, print);
    if (command === "doctor") return await runDoctor(rest, json, print);
    print(usage);
    return help ? 0 : 2;
  } catch (error) {
    if (
      !(
        error instanceof NativeError ||
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
  settings: NonNullable<Parameters<typeof linkTensorFlow>[0]>,
  json: boolean,
  print: (text: string) => void,
): Promise<number> {
  const result = await linkTensorFlow(settings);
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
  settings: NonNullable<Parameters<typeof unlinkTensorFlow>[0]>,
  json: boolean,
  print: (text: string) => void,
): Promise<number> {
  const result = await unlinkTensorFlow(settings);
  if (json) print(JSON.stringify(result, null, 2));
  else
    print(
      result.status === "unlinked" ? `${result.addon}: removed` : `${result.addon}: there was none`,
    );
  return 0;
}

import { parseArgs } from "node:util";
import { doctor } from "./doctor.ts";
import { NativeError } from "./errors.ts";
import { linkOnnxRuntime } from "./onnxruntime/link.ts";
import { unlinkOnnxRuntime } from "./onnxruntime/unlink.ts";
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
  native link onnxruntime --gpu   give onnxruntime-node its CUDA provider, for CUDA 13 (1.4 GB, 2 GB unpacked)
      --python PATH         use the CUDA 13 libraries of this Python, such as PyTorch's, where they lie (250 MB)
      --providers DIR       use the provider's two files in this folder
      --cache DIR, --force  as above
  native doctor             say what is there, what does not fit and the command that fixes it
  native unlink tensorflow | onnxruntime   remove what link made, restore what was there

  all: --project DIR (default .), --json
`;

const options = {
  project: { type: "string" },
  tensorflow: { type: "string" },
  python: { type: "string" },
  wheel: { type: "string", multiple: true },
  providers: { type: "string" },
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
    const { json = false, help = false, ...given } = values;
    const command = help ? "help" : positionals.join(" ");
    const run = commands[command];
    if (run) return await run(given, { json, print, progress });
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

/** Where a command's results and progress go. */
interface Output {
  readonly json: boolean;
  readonly print: (text: string) => void;
  readonly progress: (line: string) => void;
}

interface Given {
  readonly project?: string;
  readonly wheel?: readonly string[];
  readonly [option: string]: unknown;
}

const commands: Readonly<Record<string, (given: Given, output: Output) => Promise<number>>> = {
  "link tensorflow": runLinkTensorFlow,
  "link onnxruntime": runLinkOnnxRuntime,
  "unlink tensorflow": async (given, output) => {
    const result = await unlinkTensorFlow(given);
    return showUnlink(result, result.addon, output);
  },
  "unlink onnxruntime": async (given, output) => {
    const result = await unlinkOnnxRuntime(given);
    return showUnlink(result, result.folder, output);
  },
  doctor: runDoctor,
};

async function runLinkTensorFlow(
  { wheel, ...given }: Given,
  { json, print, progress }: Output,
): Promise<number> {
  const wheels = wheel ? { wheels: wheel } : {};
  const result = await linkTensorFlow({ ...given, ...wheels, report: progress });
  const { version, build } = result.tensorflow;
  if (json) print(JSON.stringify(result, null, 2));
  else {
    const what = result.status === "linked" ? "linked to" : "already linked to";
    print(`${result.addon}: ${what} TensorFlow ${version} (${build})`);
    for (const warning of result.warnings) print(`warning: ${warning}`);
  }
  return 0;
}

async function runLinkOnnxRuntime(
  given: Given,
  { json, print, progress }: Output,
): Promise<number> {
  const result = await linkOnnxRuntime({ ...given, report: progress });
  if (json) print(JSON.stringify(result, null, 2));
  else {
    const what = result.status === "linked" ? "linked" : "already linked";
    print(`${result.folder}: ${what} the CUDA 13 provider of ONNX Runtime ${result.version}`);
    print(`CUDA libraries: ${result.cuda.join(", ")}`);
    for (const warning of result.warnings) print(`warning: ${warning}`);
  }
  return 0;
}

async function runDoctor(given: Given, { json, print }: Output): Promise<number> {
  const report = await doctor(given);
  if (json) print(JSON.stringify(report, null, 2));
  else {
    const marks = { ok: "ok  ", warning: "warn", failure: "FAIL" };
    for (const { name, status, found, fix } of report.checks) {
      print(
        `${marks[status]}  ${name.padEnd(11)}  ${found}${fix === undefined ? "" : `\n${" ".repeat(19)}-> ${fix}`}`,
      );
    }
  }
  return report.ok ? 0 : 1;
}

function showUnlink(
  result: { readonly status: "unlinked" | "absent" },
  place: string,
  { json, print }: Output,
): number {
  if (json) print(JSON.stringify(result, null, 2));
  else print(result.status === "unlinked" ? `${place}: removed` : `${place}: there was none`);
  return 0;
}

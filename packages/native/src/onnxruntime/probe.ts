import { type LoadFailure, probe } from "../probe.ts";

/** A graph of one node, y = x x for two numbers, opset 20. */
const square =
  "CAkSDUBkbWFlL2NvbXBpbGU6QQoTCgF4CgF4EgF5GgNNdWwiA011bBIIZnVuY3Rpb25aDwoBeBIKCggIARIECgIIAmIPCgF5EgoKCAgBEgQKAggCQgQKABAUQhEKDWNvbS5taWNyb3NvZnQQAQ==";

const runSession = `
const ort = require(process.argv[1]);
const model = Buffer.from(process.argv[3], "base64");
ort.InferenceSession.create(model, { executionProviders: [process.argv[2]], logSeverityLevel: 3 })
  .then((session) => session.run({ x: new ort.Tensor("float32", Float32Array.of(2, 3), [2]) }))
  .then(({ y }) => console.log("probe:" + JSON.stringify({ product: [...y.data] })))
  .catch((error) => { console.error("Error: " + error.message); process.exitCode = 1; });
`;

/** What a session computed. */
export interface RanSession {
  /** 2 and 3 squared. */
  readonly product: readonly number[];
}

/** Squares two numbers on a provider of an installed onnxruntime-node, in a process of its own. */
export const probeSession = (
  folder: string,
  provider: "cpu" | "cuda" | "webgpu",
): Promise<RanSession | LoadFailure> => probe(runSession, [folder, provider, square]);

/** What ONNX Runtime's complaint about the CUDA provider means, and what to do. */
export interface CudaProblem {
  readonly problem: string;
  readonly fix: string;
}

const rules: readonly [RegExp, string, string][] = [
  [/libcuda\.so\.1: cannot open/, "no NVIDIA driver", "install NVIDIA's driver 580 or newer"],
  [
    /CUDA failure 35\b|driver version is insufficient/,
    "the driver is too old for CUDA 13",
    "install NVIDIA's driver 580 or newer",
  ],
  [/CUDA failure 100\b|no CUDA-capable device/, "the driver lists no card", "nvidia-smi -L"],
  [
    /CUDA failure 802\b/,
    "the card's fabric manager does not run",
    "systemctl start nvidia-fabricmanager",
  ],
  [/CUDA failure (3|999)\b/, "the driver does not answer", "restart the machine"],
  [/CUDA failure 209\b|no kernel image/, "the provider has no code for this card", "use WebGPU"],
  [
    /CUDA failure 2\b|out of memory/,
    "another process holds the card's memory",
    "nvidia-smi, then end that process",
  ],
  [
    /CUDA failure 46\b|devices? .*(busy|unavailable)/,
    "another process has the card for itself",
    "nvidia-smi -c 0, or end that process",
  ],
  [
    /(lib[\w-]+\.so[.\d]*): cannot open shared object/,
    "a library is missing",
    "npx @dmae/native link onnxruntime --gpu --force",
  ],
];

/** Puts ONNX Runtime's complaint into words. */
export function explainCuda(complaint: string): CudaProblem {
  const rule = rules.find(([pattern]) => pattern.test(complaint));
  if (rule === undefined)
    return { problem: shorten(complaint), fix: "npx @dmae/native link onnxruntime --gpu --force" };
  const [pattern, problem, fix] = rule;
  const library = pattern.exec(complaint)?.[1];
  return { problem: library ? `${problem}: ${library}` : problem, fix };
}

/** The part of an unknown complaint that says what failed. */
function shorten(complaint: string): string {
  const failure = /(?:CUDA|CUDNN|CUBLAS) failure \d+: [^;]*?(?= ;)/.exec(complaint)?.[0];
  return failure ?? complaint.trim().split("\n").at(-1)!.slice(0, 300);
}

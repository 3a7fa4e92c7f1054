import type { CardMemory } from "./card-memory.ts";

const link = "run npx @dmae/native link onnxruntime --gpu";
const driver = "install NVIDIA's driver 580 or newer";

/** Complaints at the making of a session, by the numbers of cudaError_t (docs.nvidia.com/cuda/cuda-runtime-api), and what to do. */
const rules: readonly (readonly [RegExp, string])[] = [
  [/cuModuleLoadData/, `${driver}, or pass kernels: "standard"`],
  [/libcuda\.so|CUDA failure (35|222)\b|driver version is insufficient/, driver],
  [
    /CUDA failure (100|101)\b/,
    "nvidia-smi -L must list a card, which CUDA_VISIBLE_DEVICES must not hide",
  ],
  [/CUDA failure (2|46)\b|out of memory/, "another process uses the card: nvidia-smi lists it"],
  [/CUDA failure 802\b/, "start NVIDIA's fabric manager: systemctl start nvidia-fabricmanager"],
  [/CUDA failure (3|999)\b/, "the driver does not answer: restart the machine"],
  [/CUDA failure 209\b|no kernel image/, 'it has no code for this card: use provider "webgpu"'],
  [
    /undefined symbol|version `[^']*' not found|VERSION_MISMATCH|CUDNN failure 100\d\b/,
    `libraries of another release are found first: unset LD_LIBRARY_PATH and ${link} --force`,
  ],
  [/providers_shared\.so|providers_cuda\.so|Failed to load shared library/, link],
];

/** What to do where ONNX Runtime made no session on a card. */
export function cudaFix(reason: string): string {
  const rule = rules.find(([pattern]) => pattern.test(reason));
  return `${rule?.[1] ?? link}, and npx @dmae/native doctor to see what is missing`;
}

/** The part of a complaint of ONNX Runtime that begins with what failed; the types in front of it fill a screen. */
export const fromFailure = (reason: string): string =>
  /\b((CUDA|CUBLAS|CUDNN) failure \d+:|Failed to load library).*/s.exec(reason)?.[0].trim() ??
  reason;

const LOST = /CUDA failure (214|700|702|71[0-9])\b/;
const SPENT =
  /requested buffer of size (\d+)|CUDA failure 2\b|CUBLAS failure 3\b|ALLOC(?:ATION)?_FAILED|out of memory/i;

/** Whether a complaint is about memory. */
export const isMemorySpent = (reason: string): boolean => SPENT.test(reason);

/**
 * ONNX Runtime's complaint about a run, and what to do about it: where the device's memory was too small, how much was needed
 * and a batch to try.
 *
 * @param batch the first dimension that the inputs share, if they do
 * @param card what the driver says about the card's memory
 */
export function explainRun(
  reason: string,
  batch: number | undefined,
  card?: CardMemory | undefined,
): string {
  if (LOST.test(reason))
    return `the card no longer serves this process; start it again, from its last checkpoint: ${fromFailure(reason)}`;
  const found = SPENT.exec(reason);
  if (found === null) return fromFailure(reason);
  const asked = Math.ceil(Number(found[1] ?? 0) / 2 ** 20);
  const facts = [
    ...(asked > 0 ? [`a buffer of ${asked} MiB did not fit`] : []),
    ...(card ? [memoryText(card, asked)] : []),
  ];
  const smaller = batch && batch > 1 ? `try batch ${Math.floor(batch / 2)}` : "use a smaller batch";
  return `the device's memory ran out${facts.length > 0 ? ` (${facts.join("; ")})` : ""}; ${smaller}, or end other processes on it: ${fromFailure(reason)}`;
}

function memoryText({ total, used, own }: CardMemory, asked: number): string {
  if (own === undefined) return `${used} of ${total} MiB are in use`;
  return `at least ${own + asked} MiB are needed, and of ${total} MiB other processes hold ${used - own}`;
}

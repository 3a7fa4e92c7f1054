const link = "run npx @dmae/native link onnxruntime --gpu";

const rules: readonly (readonly [RegExp, string])[] = [
  [/CUDA failure 35\b|driver version is insufficient/, "install NVIDIA's driver 580 or newer"],
  [/CUDA failure 100\b/, "nvidia-smi -L must list a card"],
  [/CUDA failure (2|46)\b/, "another process uses the card: nvidia-smi lists it"],
  [/providers_shared\.so|providers_cuda\.so|Failed to load shared library/, link],
];

/** What to do where ONNX Runtime made no session on a card. */
export function cudaFix(reason: string): string {
  const rule = rules.find(([pattern]) => pattern.test(reason));
  return `${rule?.[1] ?? link}, and npx @dmae/native doctor to see what is missing`;
}

/** The part of a complaint of ONNX Runtime that begins with the failed CUDA call; the types in front of it fill a screen. */
export const fromFailure = (reason: string): string =>
  /\b(CUDA|CUBLAS|CUDNN) failure \d+:.*/s.exec(reason)?.[0].trim() ?? reason;

/**
 * ONNX Runtime's complaint about a run, and where the device's memory was too small, what to do about it.
 *
 * @param batch the first dimension that the inputs share, if they do
 */
export function explainRun(reason: string, batch: number | undefined): string {
  const found =
    /requested buffer of size (\d+)|(?:CUDA|CUBLAS|CUDNN) failure [23]\b|out of memory/i.exec(
      reason,
    );
  if (found === null) return fromFailure(reason);
  const bytes = Number(found[1] ?? 0);
  const asked =
    bytes > 0 ? `${(bytes / 2 ** 20).toFixed(0)} MiB more than there were` : "more than there was";
  const smaller = batch && batch > 1 ? `try batch ${Math.floor(batch / 2)}` : "use a smaller batch";
  return `the device's memory ran out (a buffer took ${asked}); ${smaller}, or end other processes on it: ${fromFailure(reason)}`;
}

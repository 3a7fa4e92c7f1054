const own = new URL(".", import.meta.url).pathname;

/** Where in the user's code a traced operation was called. */
export interface UserFrame {
  /** The TensorFlow.js function that the user called, if the stack names one. */
  readonly operation: string | null;
  /** ` (called at file:line:column)`, or nothing. */
  readonly line: string;
}

/** Finds the operation and the user's line in a stack. */
export function userFrame(stack: string = new Error().stack ?? ""): UserFrame {
  const frames = stack.split("\n").filter((line) => /^\s*at /.test(line));
  let operation: string | null = null;
  let fallback = "";
  for (const frame of frames) {
    const place = /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(frame)?.[1];
    if (!place || place.startsWith("node:")) continue;
    const name = /at (?:async )?(?:new )?(?:Object\.|[\w$]*\.)?([\w$]+)(?: \[as [\w$]+\])? \(/.exec(
      frame,
    )?.[1];
    if (/tfjs-core|tf-core|tfjs-backend|tfjs-layers/.test(place)) {
      const clean = name?.replace(/__op$/, "").replace(/_$/, "");
      if (clean && !internal.has(clean)) operation = clean;
      continue;
    }
    const path = place.replace(/^file:\/\//, "");
    if (path.startsWith(own) && !/\.(test|slow|external)\.[jt]s:/.test(path)) continue;
    const line = ` (called at ${path})`;
    if (!/@dmae\/|\/packages\/[\w-]+\/(src|dist)\//.test(path) || /\.test\.ts/.test(path))
      return { operation, line };
    fallback ||= line;
  }
  return { operation, line: fallback };
}

const internal = new Set([
  "anonymous",
  "scopedRun",
  "tidy",
  "runKernel",
  "runKernelFunc",
  "kernelFunc",
  "forwardFunc",
  "makeTensor",
]);

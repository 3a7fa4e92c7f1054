/** Where in the user's code a traced operation was called. */
export interface UserFrame {
  /** The TensorFlow.js function that the user called, if the stack names one. */
  readonly operation: string | null;
  /** ` (called at file:line:column)`, or nothing. */
  readonly line: string;
}

interface Frame {
  /** The last part of the function's name. */
  readonly name: string;
  /** What it was called on. */
  readonly receiver: string;
  readonly path: string;
}

/** File URLs as paths, others as they are. */
const pathOf = (place: string): string =>
  place.startsWith("file://") ? decodeURI(place.slice("file://".length)) : place;

const own = pathOf(new URL(".", import.meta.url).href).replace(
  /(\/compile\/src\/)tracing\/$/,
  "$1",
);

/** In the repository, the folder of our packages. */
const siblings = /^(.*\/packages\/)compile\/(src|dist)\/$/.exec(own)?.[1];

/** Finds the operation and the user's line in a stack; `home` is the folder of this package's code. */
export function userFrame(stack: string = new Error().stack ?? "", home = own): UserFrame {
  let operation: string | null = null;
  let ofPackages: Frame | undefined;
  let belowOperation: Frame | undefined;
  const frames = framesOf(stack);
  for (const [i, frame] of frames.entries()) {
    const named = isOperation(frame);
    if (named) {
      operation = operationOf(frame) ?? operation;
      belowOperation = frames[i + 1];
    }
    if (named || isTensorFlow(frame) || isOwn(frame, home)) continue;
    if (!isOfPackages(frame)) return { operation, line: lineOf(frame) };
    ofPackages ??= frame;
  }
  // In a bundle of one file all code is in our folder.
  return { operation, line: lineOf(ofPackages ?? belowOperation) };
}

const lineOf = (frame: Frame | undefined) => (frame ? ` (called at ${frame.path})` : "");

/** The frames of a stack in V8's form that lie in files. */
const framesOf = (stack: string): Frame[] =>
  stack.split("\n").flatMap((line) => {
    const match = /^\s*at (?:async )?(?:(.*?) \()?((?:[^()]|\([^()]*\))*:\d+:\d+)\)?$/.exec(line);
    if (!match?.[2] || match[2].startsWith("node:")) return [];
    const parts = (match[1] ?? "").replace(/^new | \[as .*\]$/g, "").split(".");
    const name = parts.at(-1)!;
    return [{ name, receiver: parts.at(-2) ?? "", path: pathOf(match[2]) }];
  });

const isCore = ({ path }: Frame) => /tfjs-core|tf-core/.test(path);

const isTensorFlow = ({ path }: Frame) =>
  /@tensorflow[/+]|tfjs-(core|backend|layers)|tf-core/.test(path);

/** True for what may name an operation; by its name alone where a bundle holds TensorFlow.js too. */
const isOperation = (frame: Frame) =>
  isCore(frame) || frame.name.endsWith("__op") || frame.receiver === "Tensor";

function operationOf({ name }: Frame): string | null {
  const clean = name.replace(/__op$/, "").replace(/_$/, "");
  return clean === "" || internal.test(clean) ? null : clean;
}

const internal = new RegExp(
  `^(${[
    "<?anonymous>?",
    "scopedRun|tidy|runKernel|runKernelFunc|kernelFunc|forwardFunc|makeTensor|nameScope",
    "gradients|gradFunc|backpropagateGradients|variableGrads|computeGradients|applyGradients",
    "_loop_\\d+|__awaiter|__generator|step|next|fulfilled|rejected|verb",
  ].join("|")})$`,
);

const isTest = (path: string) => /\.(test|slow|external)\.[jt]s:/.test(path);

const isOwn = ({ path }: Frame, home: string) => path.startsWith(home) && !isTest(path);

/** True for code of `@dmae` packages: the line of whoever called it says more. */
const isOfPackages = ({ path }: Frame) =>
  path.includes("/@dmae/") ||
  (siblings !== undefined && path.startsWith(siblings) && !isTest(path));

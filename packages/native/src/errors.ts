/** What went wrong, as a word that programs can test: `error.code === "compiler"`. */
export type NativeErrorCode =
  | "argument" // an option outside its rule
  | "platform" // an operating system, processor or C library that has no such wheel
  | "package" // @tensorflow/tfjs-node or onnxruntime-node is missing or of another release
  | "tensorflow" // no TensorFlow in the place named, or one without what the addon needs
  | "download" // a wheel that could not be fetched, or whose hash differs
  | "compiler" // no C++ compiler, or one that failed
  | "load" // an addon that was built but does not load
  | "cuda" // CUDA libraries that are missing or of another release
  | "foreign"; // files that this package did not put there

/** The error of this package: `function: rule, got value`, and the command that mends it. */
export class NativeError extends Error {
  /** The kind of failure. */
  readonly code: NativeErrorCode;
  /** What to run or install; a command where one is known. */
  readonly fix: string | undefined;

  /** @param message one sentence without the fix; `fix` is appended to it */
  constructor(code: NativeErrorCode, message: string, fix?: string, options?: ErrorOptions) {
    super(fix === undefined ? message : `${message}; ${fix}`, options);
    this.name = "NativeError";
    this.code = code;
    this.fix = fix;
  }
}

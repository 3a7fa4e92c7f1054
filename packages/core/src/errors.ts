/** What went wrong, as a word that programs can test: `error.code === "shape"`. */
export type ErrorCode =
  | "argument" // a value outside its range, an unknown name, a missing option
  | "shape" // lengths, ranks or dtypes that do not fit
  | "file" // a file that is missing, truncated, corrupt or of another format
  | "classifier" // a classifier that threw, returned NaN, or foreign shapes and classes
  | "checkpoint" // names or shapes that do not match a model
  | "resume" // a log or run folder that belongs to other settings, or that another process writes
  | "numeric" // a value that became NaN or infinite
  | "unsupported"; // something this machine, backend or file format cannot do

const marker = Symbol.for("@dmae/error");

/**
 * The error that every `@dmae` package throws. The message names the function, the rule, the value
 * that came and, where it is known, the fix: `certify: alpha must lie in (0, 1), got 1.5`.
 *
 * Test for it with {@link DmaeError.isInstance}, which also works across two installed copies.
 */
export class DmaeError extends Error {
  /** The kind of failure. */
  readonly code: ErrorCode;
  /** Facts about the failure, for programs: file, offset, expected, received, … */
  readonly details: Readonly<Record<string, unknown>>;
  /** @internal */
  readonly [marker] = true;

  /** @param message one sentence for people; `details` carries the same facts for programs */
  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(printable(message), options);
    this.name = "DmaeError";
    this.code = code;
    this.details = details;
  }

  /** True for a `DmaeError` of any installed copy of this package, of kind `code` if it is given. */
  static isInstance(error: unknown, code?: ErrorCode): error is DmaeError {
    if (typeof error !== "object" || error === null || !(marker in error)) return false;
    return code === undefined || (error as DmaeError).code === code;
  }
}

/** Longest message; a report of every parameter of a large model fits. */
const maxMessage = 65_536;

/** Names out of files cannot send control sequences to a terminal, nor fill it. */
function printable(message: string): string {
  const text =
    message.length > maxMessage ? `${message.slice(0, maxMessage)} … (cut off)` : message;
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\0-\x08\x0b-\x1f\x7f-\x9f]/g,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

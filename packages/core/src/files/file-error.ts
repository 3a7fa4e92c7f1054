import { DmaeError } from "../errors.ts";

/** What to do about an error of the file system. */
const fixes: Readonly<Record<string, string>> = {
  EACCES: "check its permissions, or choose another place",
  EDQUOT: "make room and run it again",
  EEXIST: "a file is in the way; choose another place",
  EISDIR: "it is a folder; name a file",
  ENOSPC: "the disk is full; make room and run it again",
  ENOTDIR: "a part of the path is a file; name a folder",
  EPERM: "check its permissions, or choose another place",
  EPIPE: "the program that reads it has ended",
  EROFS: "the file system is read-only; choose another place",
};

/**
 * The "file" error for what a file system refused, on one line with the way out where it is known:
 * `writeLog: cannot write all.tsv: EISDIR: illegal operation on a directory, open 'all.tsv'; it is a folder; name a file`.
 *
 * @param caller function that the user called
 * @param action what failed, e.g. `write` or `read`
 * @param path file or folder
 * @param cause error of Node
 * @returns `cause` itself where it is a `DmaeError` already
 */
export function fileError(
  caller: string,
  action: string,
  path: string | URL,
  cause: unknown,
): DmaeError {
  if (DmaeError.isInstance(cause)) return cause;
  const { message, code } = (cause instanceof Error ? cause : new Error(String(cause))) as Error & {
    code?: unknown;
  };
  const fix = typeof code === "string" && Object.hasOwn(fixes, code) ? `; ${fixes[code]}` : "";
  const reason = message.split("\n", 1)[0];
  return new DmaeError(
    "file",
    `${caller}: cannot ${action} ${path}: ${reason}${fix}`,
    { file: String(path), ...(typeof code === "string" && { system: code }) },
    { cause },
  );
}

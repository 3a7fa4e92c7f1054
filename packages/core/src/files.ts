/** Files that are written whole or not at all, one writer at a time, and where downloads go. */
export { cacheFolder } from "./files/cache-folder.ts";
export { fileError } from "./files/file-error.ts";
export { type FileLock, type LockOptions, lockFile } from "./files/lock-file.ts";
export { makeFolder } from "./files/make-folder.ts";
export { writeAtomically } from "./files/write-atomically.ts";

import { fileError } from "./file-error.ts";

/**
 * Makes a folder, and the folders above it, unless it is there. (Node's own `recursive` never ends where an
 * existing parent answers ENOENT, as `/proc` does.) Node only.
 *
 * @param caller function that the user called, for the error
 * @param options `mode` of the folders that are made
 * @throws {DmaeError} "file" where it cannot be made, or is a file
 * @internal
 */
export async function makeFolder(
  caller: string,
  folder: string,
  options: { readonly mode?: number } = {},
): Promise<void> {
  const { mkdir, stat } = await import("node:fs/promises");
  const { dirname } = await import("node:path");
  const isFolder = (path: string) =>
    stat(path).then(
      (found) => found.isDirectory(),
      () => false,
    );
  const make = async (path: string): Promise<void> => {
    try {
      await mkdir(path, options);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const parent = dirname(path);
      if (code === "ENOENT" && parent !== path && !(await isFolder(parent))) {
        await make(parent);
        await make(path);
      } else if (!(await isFolder(path))) throw cause;
    }
  };
  await make(folder).catch((cause) => {
    throw fileError(caller, "make the folder", folder, cause);
  });
}

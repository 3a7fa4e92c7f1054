import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { DmaeError } from "@dmae/core";
import { compareCodePoints, sortByCodePoints } from "./code-points.ts";
import { fileError, reason } from "./files.ts";
import { NameList } from "./name-list.ts";
import { undecodedEnding } from "./undecoded-formats.ts";

/** A folder that holds images, its class and when it was last changed. */
export interface IndexedFolder {
  /** Path inside the data set, `""` for the top. */
  readonly path: string;
  /** Modification time in milliseconds. */
  readonly changed: number;
  /** Class of its images; -1 for the top folder, whose files do not count. */
  readonly label: number;
  /** Number of images in it. */
  readonly count: number;
}

/** All images of a folder of class folders. */
export interface FolderIndex {
  readonly root: string;
  readonly classNames: readonly string[];
  /** In the order of their images. */
  readonly folders: readonly IndexedFolder[];
  /** File names, folder after folder. */
  readonly names: NameList;
}

const imageFile = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp)$/i;
const atOnce = 16;

/**
 * Lists the images of `root`: classes are its subfolders, sorted; within a class, folders sorted by path and
 * files sorted by name, all by code points (the order of torchvision's `ImageFolder`).
 */
export async function buildFolderIndex(caller: string, root: string): Promise<FolderIndex> {
  const top = await listFolder(caller, root, "");
  if (top.folders.length === 0) throw noClasses(caller, root, top.files);
  const classNames = top.folders;
  const perClass: ListedFolder[][] = new Array(classNames.length);
  let next = 0;
  const lane = async () => {
    while (next < classNames.length) {
      const label = next++;
      perClass[label] = await listTree(caller, root, classNames[label]!, [await realpath(root)]);
      await checkClass(caller, join(root, classNames[label]!), perClass[label]!);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const folders: IndexedFolder[] = [{ path: "", changed: top.changed, label: -1, count: 0 }];
  const names: string[][] = [];
  for (const [label, listed] of perClass.entries())
    for (const { path, changed, files } of listed) {
      folders.push({ path, changed, label, count: files.length });
      names.push(files);
    }
  return { root, classNames, folders, names: NameList.from(names) };
}

/** True while no folder of the index has changed. */
export async function isCurrent({ root, folders }: FolderIndex): Promise<boolean> {
  let next = 0;
  let current = true;
  const lane = async () => {
    while (current && next < folders.length) {
      const { path, changed } = folders[next++]!;
      const status = await stat(join(root, path)).catch(() => undefined);
      if (status?.mtimeMs !== changed) current = false;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return current;
}

interface ListedFolder {
  readonly path: string;
  readonly changed: number;
  readonly files: string[];
}

/** A folder and those below it, sorted by path. */
async function listTree(
  caller: string,
  root: string,
  path: string,
  above: readonly string[],
): Promise<ListedFolder[]> {
  const real = await realpath(join(root, path));
  if (above.includes(real))
    throw fileError(caller, join(root, path), 0, "a folder tree", "a link to a folder above it");
  const { changed, files, folders } = await listFolder(caller, root, path);
  const listed: ListedFolder[] = [
    { path, changed, files: files.filter((name) => imageFile.test(name)) },
  ];
  for (const name of folders)
    listed.push(...(await listTree(caller, root, `${path}/${name}`, [...above, real])));
  return listed.sort((a, b) => compareCodePoints(a.path, b.path));
}

/**
 * Files and folders in one folder, sorted by code points; links are followed, dot files left out. A link to
 * nothing counts as a file, as torchvision has it: reading the image is the error then.
 */
async function listFolder(caller: string, root: string, path: string) {
  const folder = join(root, path);
  try {
    const { mtimeMs } = await stat(folder);
    const entries = await readdir(folder, { withFileTypes: true });
    const files: string[] = [];
    const folders: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const link = entry.isSymbolicLink() ? await follow(join(folder, entry.name)) : entry;
      if (link?.isDirectory()) folders.push(entry.name);
      else if (!link || link.isFile()) files.push(entry.name);
    }
    return { changed: mtimeMs, files: sortByCodePoints(files), folders: sortByCodePoints(folders) };
  } catch (cause) {
    throw new DmaeError(
      "file",
      `${caller}: cannot read the folder ${folder}: ${reason(cause)}`,
      { file: folder },
      { cause },
    );
  }
}

const follow = (link: string) => stat(link).catch(() => undefined);

/** A class must have an image, and one that can be decoded. */
async function checkClass(caller: string, folder: string, listed: readonly ListedFolder[]) {
  const files = listed.flatMap((inside) => inside.files);
  if (files.length === 0) throw emptyClass(caller, folder);
  const ending = await undecodedEnding(files);
  if (ending !== undefined)
    throw new DmaeError(
      "file",
      `${caller}: the class folder ${folder} holds only files such as ${files[0]}, and sharp does not decode ${ending}; convert them to .png, which loses nothing`,
      { file: folder, expected: "images that sharp decodes", received: ending },
    );
}

function noClasses(caller: string, root: string, files: readonly string[]): DmaeError {
  const found = files.length > 0 ? `${files.length} files, such as ${files[0]}` : "nothing";
  return new DmaeError(
    "file",
    `${caller}: ${root} must hold one folder per class, it holds ${found}`,
    { file: root, expected: "one folder per class", received: found },
  );
}

function emptyClass(caller: string, folder: string): DmaeError {
  return new DmaeError(
    "file",
    `${caller}: the class folder ${folder} holds no image (.jpg, .png, .webp, …)`,
    { file: folder, expected: "at least one image", received: "none" },
  );
}

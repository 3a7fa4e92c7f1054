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
/** How often links may lead to one folder: links between twenty folders can make a million paths. */
const maxVisits = 64;
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
  const visits = new Map<string, number>();
  const above = [await realpath(root)];
  const lane = async () => {
    while (next < classNames.length) {
      const label = next++;
      perClass[label] = await listTree(caller, root, classNames[label]!, above, visits);
      checkClass(caller, join(root, classNames[label]!), perClass[label]!);
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

/** True for an index of `root` as {@link buildFolderIndex} makes them: a cached one may be forged, to name files elsewhere. */
export function isSound(
  { root, classNames, folders, names }: FolderIndex,
  wanted: string,
): boolean {
  const isInside = (path: unknown) =>
    typeof path === "string" && !/(^|\/)\.\.?(\/|$)|^\/|[\0\\]/.test(path);
  if (root !== wanted || !Array.isArray(classNames) || !Array.isArray(folders)) return false;
  const isFolder = ({ path, changed, label, count }: IndexedFolder) =>
    isInside(path) &&
    Number.isFinite(changed) &&
    Number.isSafeInteger(label) &&
    Number.isSafeInteger(count) &&
    count >= 0 &&
    (label >= 0 ? label < classNames.length : label === -1 && count === 0);
  if (!classNames.every(isInside) || !folders.every((each) => each && isFolder(each))) return false;
  if (folders.reduce((sum, { count }) => sum + count, 0) !== names.length) return false;
  for (let i = 0; i < names.length; i++)
    if (names.at(i).includes("/") || !imageFile.test(names.at(i))) return false;
  return true;
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
  visits: Map<string, number>,
): Promise<ListedFolder[]> {
  const real = await realpath(join(root, path)).catch((cause: unknown) => {
    throw unreadable(caller, join(root, path), cause);
  });
  if (above.includes(real))
    throw fileError(caller, join(root, path), 0, "a folder tree", "a link to a folder above it");
  const visit = (visits.get(real) ?? 0) + 1;
  visits.set(real, visit);
  if (visit > maxVisits)
    throw fileError(caller, real, 0, `at most ${maxVisits} links to one folder`, "more");
  const { changed, files, folders } = await listFolder(caller, root, path);
  const listed: ListedFolder[] = [
    { path, changed, files: files.filter((name) => imageFile.test(name)) },
  ];
  for (const name of folders)
    listed.push(...(await listTree(caller, root, `${path}/${name}`, [...above, real], visits)));
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
    throw unreadable(caller, folder, cause);
  }
}

function unreadable(caller: string, folder: string, cause: unknown): DmaeError {
  return new DmaeError(
    "file",
    `${caller}: cannot read the folder ${folder}: ${reason(cause)}`,
    { file: folder },
    { cause },
  );
}

const follow = (link: string) => stat(link).catch(() => undefined);

/** A class must have an image, and one that can be decoded. */
function checkClass(caller: string, folder: string, listed: readonly ListedFolder[]) {
  const files = listed.flatMap((inside) => inside.files);
  if (files.length === 0) throw emptyClass(caller, folder);
  const ending = undecodedEnding(files);
  if (ending !== undefined)
    throw new DmaeError(
      "file",
      `${caller}: the class folder ${folder} holds only files such as ${files[0]}, and ${ending} is not decoded; convert them to .png, which loses nothing`,
      { file: folder, expected: "JPEG, PNG, WebP, TIFF or GIF", received: ending },
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

import { resolve } from "node:path";

/**
 * Names of logs for tables and curves: that of the file, with as many of the folders above it as tell it from the
 * others. A log called after its noise, as in the published folders, always has its folder before it.
 */
export function logNames(files: readonly string[]): string[] {
  const paths = files.map((file) => resolve(file).split(/[\\/]/));
  const nameOf = (i: number, depth: number) =>
    paths[i]!.slice(-depth)
      .join("/")
      .replace(/\.tsv(\.gz)?$/, "");
  const sameAs = (i: number, depth: number) =>
    paths.some(
      (path, j) => path.join() !== paths[i]!.join() && nameOf(j, depth) === nameOf(i, depth),
    );
  return paths.map((path, i) => {
    const isGeneral = /^noi[sz][et]_/.test(path.at(-1)!) && /[\\/]/.test(files[i]!);
    let depth = isGeneral ? 2 : 1;
    while (depth < path.length && sameAs(i, depth)) depth++;
    return sameAs(i, depth) ? files[i]! : nameOf(i, depth);
  });
}

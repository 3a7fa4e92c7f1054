import { fileURLToPath } from "node:url";
import { type BuildResult, build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Bundles for browsers from the packages as built, as esbuild does by default; what cannot be resolved is an error. */
export function bundle(
  entry: ({ file: string } | { code: string }) & { minify?: boolean },
  folder?: string,
): Promise<BuildResult<{ metafile: true; write: false }>> {
  return build({
    ...("file" in entry
      ? { entryPoints: [entry.file] }
      : { stdin: { contents: entry.code, resolveDir: here } }),
    absWorkingDir: here,
    bundle: true,
    minify: entry.minify ?? false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    splitting: true, // ONNX Runtime's threads load the file that it lies in: its own, not the application's
    outdir: folder ?? "out",
    write: folder !== undefined,
    metafile: true,
    tsconfigRaw: {}, // the repository's paths lead to the sources
    logLevel: "silent",
  }) as Promise<BuildResult<{ metafile: true; write: false }>>;
}

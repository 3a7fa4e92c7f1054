const PACKAGES = ["@dmae/core", "@dmae/nn", "@dmae/compile", "@dmae/datasets", "onnxruntime-node"];

/** Versions of Node and of the packages that decide the numbers of a training. */
export async function versions(): Promise<Record<string, string>> {
  const { createRequire } = await import("node:module");
  const require = createRequire(import.meta.url);
  const found: Record<string, string> = { node: process.version };
  for (const name of PACKAGES)
    try {
      found[name] = (require(`${name}/package.json`) as { version: string }).version;
    } catch {
      found[name] = "not installed";
    }
  return found;
}

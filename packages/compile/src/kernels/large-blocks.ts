import type { ExternalData } from "../onnx/onnx-model.ts";
import { isNodeCpu, loadRuntime, type RuntimeOptions } from "../runtime/runtime.ts";
import { findCCompiler } from "./c-compiler.ts";
import { openAddon } from "./native-session.ts";

/** Bytes of constants from which their memory is worth a compiler's second (64 MiB). */
const MIN_PRODUCT = 1 << 26;

/**
 * Runs `load`, which hands `constants` to ONNX Runtime, so that its copies leave no holes behind. ONNX Runtime copies every weight
 * twice before it packs it; freed among others on the heap, the copies are lost for the process (a third of a
 * ViT-B's weights). Here large blocks get pages of their own meanwhile, where a C compiler can ask glibc for it.
 */
export async function withoutHoles<T>(
  constants: readonly ExternalData[],
  options: RuntimeOptions,
  load: () => Promise<T>,
): Promise<T> {
  const bytes = constants.reduce((n, { data }) => n + data.length, 0);
  const wanted = bytes >= MIN_PRODUCT && options.kernels !== "standard";
  const addon = wanted ? await addonOf(options) : null;
  addon?.largeBlocksApart(true);
  try {
    return await load();
  } finally {
    addon?.largeBlocksApart(false);
  }
}

async function addonOf(options: RuntimeOptions) {
  const compiler = isNodeCpu(options) ? await findCCompiler() : null;
  if (!compiler) return null;
  try {
    await loadRuntime("compile", options);
    return await openAddon(compiler);
  } catch {
    return null;
  }
}

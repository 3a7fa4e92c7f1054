import type { PinnedWheel } from "../pinned-wheels.ts";
import providers from "./pinned-providers.json" with { type: "json" };

/** The wheels that give one release of onnxruntime-node its CUDA provider. */
export interface PinnedProvider {
  /** The release of onnxruntime-node, and of the `onnxruntime-gpu` wheel: they must be the same. */
  readonly version: string;
  /** The wheel that holds the provider. */
  readonly provider: PinnedWheel;
  /** The CUDA libraries that it was run with. */
  readonly cuda: readonly PinnedWheel[];
}

/** Written by scripts/pin-wheels.mjs. */
export const pinnedProviders: readonly PinnedProvider[] = providers;

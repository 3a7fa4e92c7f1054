import releases from "./pinned-wheels.json" with { type: "json" };

/** A wheel of the Python package index, by file name and content. */
export interface PinnedWheel {
  /** The project on the index: `tensorflow-cpu`, `nvidia-cudnn-cu12`, … */
  readonly project: string;
  /** Its release. */
  readonly version: string;
  /** The wheel's file name; its tags say for which machine and C library it was built. */
  readonly file: string;
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of the file, lower-case hexadecimal. */
  readonly sha256: string;
}

/** The wheels of one TensorFlow release: the CPU build for each machine, the CUDA build with its libraries. */
export interface PinnedRelease {
  /** The TensorFlow release. */
  readonly version: string;
  /** The CPU build: one wheel for each machine. */
  readonly cpu: { readonly x64: PinnedWheel; readonly arm64: PinnedWheel };
  /** The CUDA build and the `nvidia-*` wheels it was built against (x64 alone: the arm64 wheels have no CUDA). */
  readonly gpu: { readonly x64: readonly PinnedWheel[] };
}

/** Written by scripts/pin-wheels.mjs. */
export const pinnedReleases: readonly PinnedRelease[] = releases;

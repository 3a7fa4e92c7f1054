import { pinnedReleases } from "./pinned-wheels.ts";

/** The releases of TensorFlow that `link` fetches: each was linked and run with the same sources. */
export const tensorflowVersions: readonly string[] = pinnedReleases.map(({ version }) => version);

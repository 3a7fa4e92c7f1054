import type { ImageDataset } from "./types.ts";

/** A data set in a message: by its name, or "the data set" if it has none. */
export const datasetName = ({ name }: Pick<ImageDataset, "name">): string => name ?? "the data set";

import type { LogSettings } from "../log/log-row.ts";

const fixes = {
  range: "a radius is in units of the pixel values; certify both in one range",
  shape: "a radius is one for images of this size; certify both at one size",
  data: "this fingerprint names the data set, whose images the indices are; certify both on one",
  dataset: "an index is an image of its data set; certify both on one",
};
type Facts = Partial<Record<keyof typeof fixes, unknown>>;

/** What all rows say of their images, which must be the same wherever they say it. */
export class CommonFacts {
  private readonly known: Facts = {};

  /** What is wrong with rows of these settings beside those before, if anything. */
  problemOf({ range = "0,1", shape, data, dataset }: LogSettings): string | undefined {
    const isSameData = data !== undefined && data === this.known.data; // whatever its name
    const facts: Facts = { range, shape, data, ...(!isSameData && { dataset }) };
    for (const [name, value] of Object.entries(facts) as [keyof Facts, unknown][]) {
      if (value === undefined || value === "") continue;
      const before = (this.known[name] ??= value);
      if (before !== value)
        return `both logs must have the same ${name}, got ${before} and ${value}: ${fixes[name]}`;
    }
    return undefined;
  }
}

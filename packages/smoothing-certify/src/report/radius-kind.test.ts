import { describe, expect, it } from "vitest";
import type { LogRow, LogSettings } from "../log/log-row.ts";
import { formatSummaries, summarizeLog } from "./analysis.ts";
import { formatPatchAccuracy } from "./patch-accuracy.ts";
import { certifiedAccuracySvg } from "./plot.ts";
import { averageCertifiedRadius, certifiedAccuracy } from "./summary.ts";

/** A log of one image, of a run with these settings. */
const log = (name: string, settings?: Partial<LogSettings>, idx = 0) => {
  const row = { idx, label: 1, predict: 1, radius: 0.5, correct: 1, time: 0 } as const;
  return { name, rows: [{ ...row, ...(settings && { settings }) } as LogRow] };
};
const certify = { procedure: "certify", sigma: 0.5, alpha: 0.001 };
const gaussian = log("gaussian", certify);
const laplace = log("laplace", { ...certify, distribution: "laplace" });

describe("a report says what its radii are", () => {
  it.each([
    [undefined, "l2 radius", "certified accuracy", "r=0.5"],
    [certify, "l2 radius", "certified accuracy", "r=0.5"],
    [{ ...certify, topK: 1 }, "l2 radius", "certified accuracy", "r=0.5"],
    [{ ...certify, distribution: "laplace" }, "l1 radius", "certified accuracy", "l1 r=0.5"],
    [
      { ...certify, distribution: "uniform", norm: "l2" },
      ...["l2 radius", "certified accuracy", "r=0.5"],
    ],
    [{ ...certify, norm: "linf" }, "linf radius", "certified accuracy", "linf r=0.5"],
    [{ ...certify, topK: 2 }, "l2 radius", "certified top-2 accuracy", "top-2 r=0.5"],
    [
      { ...certify, range: "0,255" },
      ...["l2 radius, pixel values in [0,255]", "certified accuracy", "r=0.5"],
    ],
    [
      { procedure: "patch" },
      ...["side of the square patch, in pixels", "certified accuracy", "r=0.5"],
    ],
  ] as const)("of settings %j", (settings, radius, accuracy, column) => {
    const named = log("a", settings as Partial<LogSettings> | undefined);
    const svg = certifiedAccuracySvg([named]);
    expect(svg).toContain(`>${radius}</text>`);
    expect(svg).toContain(`>${accuracy}</text>`);
    const table = formatSummaries([summarizeLog(named, [0.5])], "markdown");
    expect(table).toContain(`| log | images | abstain | ${column} |`);
    expect(table).toContain(`r and ACR: ${radius}.`);
  });

  it("in the columns of a CSV file", () => {
    const summary = summarizeLog(log("a", { ...certify, norm: "linf", topK: 3 }), [0.5]);
    const [header, line] = formatSummaries([summary], "csv").split("\n");
    expect(header).toMatch(/,acr,mean_samples,norm,top_k,range$/);
    expect(line).toMatch(/,0.5,,linf,3,"0,1"$/);
  });
});

describe("radii of several kinds", () => {
  const problem = (caller: string) =>
    `${caller}: the radii of all logs must be of one kind, got l2 radius in gaussian and l1 radius in laplace; give one kind at a time, or bring them to one norm and topK with recertify`;

  it("have no place in one table or picture", () => {
    const summaries = [gaussian, laplace].map((one) => summarizeLog(one, [0.5]));
    expect(() => formatSummaries(summaries)).toThrow(problem("formatSummaries"));
    expect(() => certifiedAccuracySvg([gaussian, laplace])).toThrow(
      problem("certifiedAccuracySvg"),
    );
    const two = log("two", { ...certify, topK: 2 });
    expect(() => certifiedAccuracySvg([gaussian, two])).toThrow(
      "got l2 radius in gaussian and l2 radius for top-2 accuracy in two",
    );
    const patches = log("patches", { procedure: "patch" });
    expect(() => certifiedAccuracySvg([gaussian, patches])).toThrow(
      /got l2 radius in gaussian and side of the square patch, in pixels in patches; give one kind at a time$/,
    );
  });

  it("have no mean and no share either", () => {
    const rows = [...gaussian.rows, ...log("other", { ...certify, norm: "linf" }, 1).rows];
    const mixed = "the radii of all rows must be of one kind, got l2 radius and linf radius";
    expect(() => certifiedAccuracy(rows, [0])).toThrow(mixed);
    expect(() => averageCertifiedRadius(rows)).toThrow(mixed);
    expect(() => summarizeLog({ name: "a", rows })).toThrow(mixed);
  });

  it("are no sides of patches", () => {
    expect(() => formatPatchAccuracy({ vit: gaussian.rows }, [1])).toThrow(
      "formatPatchAccuracy: rows must be of certifyDatasetPatch, got l2 radius in vit; use formatSummaries for radii",
    );
  });
});

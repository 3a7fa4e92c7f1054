import type { AnytimeResult } from "@dmae/smoothing-certify";
import { afterEach, describe, expect, it, vi } from "vitest";
import { radiusChart, radiusScale, voteRows } from "./charts.ts";
import { Compute } from "./compute.ts";
import type { Report, Request } from "./messages.ts";
import { difference } from "./pictures.ts";

describe("charts", () => {
  const result = (samples: number, radius: number) => ({ samples, radius }) as AnytimeResult;
  const numbers = (text: string) => text.match(/-?[\d.]+/g)!.map(Number);

  it("votes come with the most frequent class first; names are text", () => {
    const rows = voteRows([1, 3, 0, 0, 0, 0], (c) => `<b>${c}</b>`);
    expect(rows.match(/&#60;b&#62;\d/g)).toEqual(
      ["1", "0", "2", "3"].map((c) => `&#60;b&#62;${c}`),
    );
    expect(rows).toContain("width:75%");
    expect(rows).not.toContain("<b>");
  });

  it("the radius is a line that never falls on the page", () => {
    const chart = radiusChart([result(164, 0), result(292, 0.2), result(1100, 0.5)], 1000, 0.25);
    const points = numbers(/points="([^"]+)"/.exec(chart)![1]!);
    const heights = points.filter((_, i) => i % 2 === 1);
    expect(heights).toEqual([...heights].sort((a, b) => b - a));
    expect(heights.at(-1)).toBeLessThan(heights[0]!);
    expect(Math.max(...points.filter((_, i) => i % 2 === 0))).toBeLessThanOrEqual(470);
  });

  it("both radii stand on one scale", () => {
    const [, end = 0] = /path d="M([\d.]+)/.exec(radiusScale(0.2, 0.8)) ?? [];
    const [, width = 0] = /width="([\d.]+)"/.exec(radiusScale(0.2, 0.8)) ?? [];
    expect((Number(end) - 8) / Number(width)).toBeCloseTo(4, 5);
    expect(radiusScale(0.2, Number.POSITIVE_INFINITY)).toContain("nothing found");
  });
});

it("a difference is stretched about grey", () => {
  const picture = (...values: number[]) => ({ data: Float32Array.from(values), shape: [1, 3, 1] });
  const { data } = difference(picture(0.5, 0.75, 0.5), picture(0.5, 0.5, 0.625));
  expect([...data]).toEqual([0.5, 1, 0.25]);
});

describe("Compute", () => {
  const sent: Request[] = [];
  let worker: FakeWorker | undefined;
  class FakeWorker extends EventTarget {
    constructor() {
      super();
      worker = this;
    }
    postMessage(message: Request) {
      sent.push(message);
    }
    terminate() {}
    answer(data: object) {
      this.dispatchEvent(Object.assign(new Event("message"), { data }));
    }
  }
  vi.stubGlobal("Worker", FakeWorker);
  afterEach(() => void sent.splice(0));

  it("hands reports, results and errors to the call that they belong to", async () => {
    const compute = new Compute();
    const reports: Report[] = [];
    const first = compute.start("load", {} as never, (report) => reports.push(report));
    const second = compute.start("read", {} as never);
    worker!.answer({ id: 1, error: "no" });
    worker!.answer({ id: 0, report: { drawn: 3 } });
    worker!.answer({ id: 0, result: "facts" });
    expect(await first.result).toBe("facts");
    await expect(second.result).rejects.toThrow("no");
    expect(reports).toEqual([{ drawn: 3 }]);
    first.stop();
    expect(sent.at(-1)).toEqual({ id: 0, stop: true });
  });

  it("fails what is under way when the worker cannot be started", async () => {
    const compute = new Compute();
    const { result } = compute.start("load", {} as never);
    worker!.dispatchEvent(Object.assign(new Event("error"), { message: "blocked" }));
    await expect(result).rejects.toThrow("blocked");
  });
});

import { type PlannedRun, plan } from "../procedures/plan.ts";
import { percentText } from "../report/percent.ts";
import { formatTable } from "../report/table.ts";
import type { Arguments } from "./cli-arguments.ts";
import { relabelled } from "./cli-labels.ts";
import { withModel } from "./cli-load.ts";
import type { Streams } from "./cli-rows.ts";
import { seedOf } from "./cli-settings.ts";

/** Runs `plan`: a table of the runs that were compared, and what to run. */
export function runPlan(args: Arguments, io: Streams): Promise<void> {
  const goal = { radius: args.needed("radius"), ...args.pick("accuracy", "samples") };
  return withModel(args, async (model, found) => {
    const dataset = await relabelled(found, model, args);
    const { recommended, runs, drawn, indices } = await plan(model.classifier, dataset, {
      goal,
      sigmas: args.needed("sigmas"),
      ...args.pick("sizes", "images", "alpha", "range"),
      numClasses: dataset.numClasses,
      seed: await seedOf(args),
      signal: io.signal,
    });
    const header = ["procedure", "sigma", "n", `accuracy at r=${goal.radius}`, "samples", ""];
    const body = runs.map((run) => cells(run, run === recommended));
    await io.out(formatTable([header, ...body], "text"));
    await io.out(recommended ? adviceOn(recommended, goal.radius, args.get("alpha")) : noRun);
    const left = new Set(indices);
    const seen = Array.from({ length: dataset.length }, (_, i) => i).filter((i) => !left.has(i));
    io.error(
      `${drawn} noisy images of ${seen.length} images, which a run should leave out: ${seen.join(",")}\n`,
    );
  });
}

function cells({ procedure, sigma, n, accuracy, samples }: PlannedRun, chosen: boolean): string[] {
  const numbers = [sigma, n, `${percentText(accuracy)} %`, Math.round(samples)].map(String);
  return [procedure, ...numbers, chosen ? "recommended" : ""];
}

function adviceOn({ procedure, sigma, n }: PlannedRun, radius: number, alpha?: number): string {
  const run =
    procedure === "certify"
      ? `certify --sigma ${sigma} --n ${n}`
      : `at-radius --radius ${radius} --sigma ${sigma} --max-samples ${n}`;
  return `smoothing-certify ${run}${alpha === undefined ? "" : ` --alpha ${alpha}`} ...\n`;
}

const noRun = "no run reaches the goal: try other --sigmas, larger --sizes or a smaller --radius\n";

import type { Range } from "../classifier/range.ts";
import { type PlannedRun, plan } from "../procedures/plan.ts";
import { percentText } from "../report/percent.ts";
import { formatTable } from "../report/table.ts";
import type { Arguments } from "./cli-arguments.ts";
import { relabelled } from "./cli-labels.ts";
import { loadData, loadModel } from "./cli-load.ts";
import type { Streams } from "./cli-rows.ts";
import { given } from "./cli-run.ts";

/** Runs `plan`: a table of the runs that were compared, and what to run. */
export async function runPlan(args: Arguments, io: Streams): Promise<void> {
  for (const name of ["model", "data", "radius", "sigmas"] as const) args.needed(name);
  const goal = {
    radius: args.number("radius")!,
    accuracy: args.number("accuracy"),
    samples: args.number("samples"),
  };
  const found = await loadData(args);
  const model = await loadModel(args);
  try {
    const dataset = await relabelled(found, model, args);
    const options = given({
      sigmas: args.numbers("sigmas")!,
      sizes: args.numbers("sizes"),
      images: args.number("images"),
      alpha: args.number("alpha"),
      range: args.numbers("range") as Range | undefined,
      numClasses: dataset.numClasses,
      signal: io.signal,
    });
    const { recommended, runs, drawn, indices } = await plan(model.classifier, dataset, {
      ...options,
      goal: given(goal),
    });
    const header = ["procedure", "sigma", "n", `accuracy at r=${goal.radius}`, "samples", ""];
    const body = runs.map((run) => cells(run, run === recommended));
    await io.out(formatTable([header, ...body], "text"));
    await io.out(recommended ? adviceOn(recommended, goal.radius) : noRun);
    const seen = dataset.length - indices.length;
    io.error(`${drawn} noisy images of ${seen} images, which a run should leave out\n`);
  } finally {
    await model.dispose();
  }
}

function cells({ procedure, sigma, n, accuracy, samples }: PlannedRun, chosen: boolean): string[] {
  const numbers = [sigma, n, `${percentText(accuracy)} %`, Math.round(samples)].map(String);
  return [procedure, ...numbers, chosen ? "recommended" : ""];
}

function adviceOn({ procedure, sigma, n }: PlannedRun, radius: number): string {
  return procedure === "certify"
    ? `smoothing-certify certify --sigma ${sigma} --n ${n} ...\n`
    : `smoothing-certify at-radius --radius ${radius} --sigma ${sigma} --max-samples ${n} ...\n`;
}

const noRun = "no run reaches the goal: try other --sigmas, larger --sizes or a smaller --radius\n";

import { DmaeError } from "@dmae/core";
import type { Range } from "../classifier/range.ts";
import type { Encoding } from "../procedures/patch/ablated-copies.ts";
import type { Ablation } from "../procedures/patch/ablation.ts";
import { certifyDatasetPatch } from "../procedures/patch/certify-patch.ts";
import type { Arguments } from "./cli-arguments.ts";
import { relabelled } from "./cli-labels.ts";
import { loadData, loadModel } from "./cli-load.ts";
import { outputOf, printRows, type Streams } from "./cli-rows.ts";
import { batchesOf, given, selectionOf, tryOutput } from "./cli-run.ts";

/** Runs `patch`. */
export async function runPatch(args: Arguments, io: Streams): Promise<void> {
  for (const name of ["model", "data"] as const) args.needed(name);
  const options = {
    ablation: ablationOf(args),
    stride: args.number("stride"),
    encoding: args.text("encoding") as Encoding | undefined,
    fill: args.number("fill"),
    range: args.numbers("range") as Range | undefined,
    ...selectionOf(args),
    ...batchesOf(args),
    signal: io.signal,
  };
  const found = await loadData(args);
  const model = await loadModel(args);
  try {
    const dataset = await relabelled(found, model, args);
    await tryOutput("patch", args, io);
    const { name, fingerprint } = model;
    const run = given({ ...options, model: name, fingerprint, ...outputOf(args, io) });
    await printRows(certifyDatasetPatch(model.classifier, dataset, run), args, io);
  } finally {
    await model.dispose();
  }
}

const kinds = ["columns", "rows", "block"] as const;

function ablationOf(args: Arguments): Ablation {
  const [kind, ...more] = kinds.filter((name) => args.has(name));
  if (kind === undefined || more.length > 0)
    throw new DmaeError(
      "argument",
      `patch: give one of --columns, --rows and --block, got ${kind === undefined ? "none" : [kind, ...more].map((name) => `--${name}`).join(" and ")}`,
    );
  return { [kind]: args.number(kind) } as unknown as Ablation;
}

import { DmaeError } from "@dmae/core";
import type { Ablation } from "../procedures/patch/ablation.ts";
import { certifyDatasetPatch } from "../procedures/patch/certify-patch.ts";
import type { Arguments } from "./cli-arguments.ts";
import { relabelled } from "./cli-labels.ts";
import { withModel } from "./cli-load.ts";
import { outputOf, printRows, type Streams } from "./cli-rows.ts";
import { tryOutput } from "./cli-run.ts";
import { batchesOf, selectionOf } from "./cli-settings.ts";

/** Runs `patch`. */
export async function runPatch(args: Arguments, io: Streams): Promise<void> {
  const checked = { ablation: ablationOf(args), ...selectionOf(args) };
  await withModel(args, async (model, found) => {
    const dataset = await relabelled(found, model, args);
    await tryOutput("patch", args, io);
    const rows = certifyDatasetPatch(model.classifier, dataset, {
      ...checked,
      ...args.pick("stride", "encoding", "fill", "range"),
      ...batchesOf(args),
      ...{ signal: io.signal, model: model.name, fingerprint: model.fingerprint },
      ...outputOf(args, io),
    });
    await printRows(rows, args, io);
  });
}

const kinds = ["columns", "rows", "block"] as const;

function ablationOf(args: Arguments): Ablation {
  const [kind, ...more] = kinds.filter((name) => args.has(name));
  if (kind === undefined || more.length > 0)
    throw new DmaeError(
      "argument",
      `patch: give one of --columns, --rows and --block, got ${kind === undefined ? "none" : [kind, ...more].map((name) => `--${name}`).join(" and ")}`,
    );
  return { [kind]: args.get(kind) } as unknown as Ablation;
}

// The seven steps of the story on Fashion-MNIST, minutes on a laptop CPU: corrupt and mask, reconstruct,
// fine-tune under noise, smooth, certify, report. Run it with `npm start`; `npm start -- --help`.
import process from "node:process";
import { compiledExecutor, type ExecutionProvider } from "@dmae/compile";
import { key } from "@dmae/core";
import { fashionMnist, take } from "@dmae/datasets";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { runAsProgram } from "@dmae/reproduce/program";
import { help, isCard, type Options, readOptions } from "./options.ts";
import { reportRun } from "./report-run.ts";
import { runFolder } from "./run-folder.ts";
import { shippedModel } from "./shipped-model.ts";
import { certifyStage, classifierStage, finetuneStage, pretrainStage, type Run } from "./stages.ts";

async function main(options: Options, signal: AbortSignal): Promise<void> {
  const run = await prepare(options, signal);
  console.log(
    `sigma ${options.sigma}, seed ${options.seed}, ${run.runner}, run folder ${run.folder}`,
  );
  if (options.pretrained) {
    const { classifier, autoencoder } = await shippedModel(options.sigma);
    return reportRun(run, autoencoder, await certifyStage(run, classifier));
  }
  const autoencoder = await pretrainStage(run);
  const { model: vit, params } = await finetuneStage(run, autoencoder.params);
  const certified = await certifyStage(run, await classifierStage(run, vit, params));
  await reportRun(run, autoencoder, certified);
}

/** Everything that the stages share. */
async function prepare(options: Options, signal: AbortSignal): Promise<Run> {
  const compiled = options.executor === "compiled";
  let reason = "";
  const backend = await selectBackend(compiled ? "cpu" : options.backend, {
    onReport: (report) => {
      reason = report.reason;
    },
  });
  const provider = isCard(options.backend) ? options.backend.slice("compiled:".length) : "cpu";
  const executor = compiled
    ? compiledExecutor({ provider: provider as ExecutionProvider })
    : eagerExecutor();
  const trained = compiled ? executor.name : `eager on ${backend} (${reason})`;
  const runner = options.pretrained ? "the shipped int8 model" : trained;
  const { train, test } = await fashionMnist();
  return {
    options,
    folder: runFolder(options),
    root: key(options.seed),
    executor,
    runner,
    train: take(train, options.trainImages),
    test,
    signal,
    started: Date.now(),
  };
}

await runAsProgram(async (signal) => {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") console.log(help);
  else await main(options, signal);
});

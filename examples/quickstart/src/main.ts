// The seven steps of the story on Fashion-MNIST, minutes on a laptop CPU: corrupt and mask, reconstruct,
// fine-tune under noise, smooth, certify, report. Run it with `npm start`; `npm start -- --help`.
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { compiledExecutor } from "@dmae/compile";
import { DmaeError, foldIn, key } from "@dmae/core";
import { batchLoader, fashionMnist, randomHorizontalFlip, take } from "@dmae/datasets";
import { robustFinetune } from "@dmae/finetune";
import { eagerExecutor, selectBackend } from "@dmae/nn";
import { pretrain } from "@dmae/pretrain";
import {
  certifiedAccuracySvg,
  certifiedRadius,
  certifyDataset,
  clopperPearsonLower,
  type LogRow,
} from "@dmae/smoothing-certify";
import { vitClassifier } from "./certify.ts";
import { help, type Options, readOptions } from "./options.ts";
import { progressLine } from "./progress.ts";
import { finetuneRecipe, pretrainRecipe } from "./recipe.ts";
import { reconstructions } from "./reconstruct.ts";
import { certificateText, writeReport } from "./report.ts";
import { runFolder } from "./run-folder.ts";
import { ourRow, publishedNote, publishedRows, tableText } from "./table.ts";

const radii = [0, 0.25, 0.5, 0.75];
const n0 = 100;
const alpha = 0.001;

async function main(options: Options): Promise<void> {
  const started = Date.now();
  const { sigma, seed, n, images } = options;
  const folder = runFolder(options);
  const stop = new AbortController();
  process.once("SIGINT", () =>
    stop.abort(new DmaeError("resume", "stopped; start again to go on")),
  );
  const { signal } = stop;

  let reason = "";
  const backend = await selectBackend(options.executor === "eager" ? options.backend : "cpu", {
    onReport: (report) => {
      reason = report.reason;
    },
  });
  const executor = options.executor === "compiled" ? compiledExecutor() : eagerExecutor();
  const runner = options.executor === "eager" ? `eager on ${backend} (${reason})` : executor.name;
  console.log(`sigma ${sigma}, seed ${seed}, ${runner}, run folder ${folder}`);
  const { train: all, test } = await fashionMnist();
  const train = take(all, options.trainImages);
  const root = key(seed);

  const pretraining = progressLine("1/3 pre-training", "steps");
  const dmaeRun = await pretrain(pretrainRecipe(options), train, {
    executor,
    key: foldIn(root, "pretrain"),
    folder: join(folder, "pretrain"),
    checkpointEveryEpochs: 0.25,
    signal,
    onProgress: ({ step, steps, metrics }) =>
      pretraining.update(step, steps, `loss ${metrics.loss?.toFixed(4)}`),
  });
  pretraining.end(`${dmaeRun.step} steps done`);

  const finetuning = progressLine("2/3 fine-tuning", "steps");
  const recipe = finetuneRecipe(options);
  const augmented = batchLoader(train, {
    batchSize: recipe.batchSize,
    shuffle: true,
    dropLast: true,
    key: foldIn(root, "finetune-data"),
    transform: [randomHorizontalFlip()],
  });
  const { vit, params, step } = await robustFinetune(recipe, augmented, {
    executor,
    key: foldIn(root, "finetune"),
    pretrained: dmaeRun.params,
    folder: join(folder, "finetune"),
    checkpointEveryEpochs: 0.25,
    signal,
    onProgress: ({ step: done, steps, metrics }) =>
      finetuning.update(done, steps, `loss ${metrics.loss?.toFixed(4)}`),
  });
  finetuning.end(`${step} steps done`);

  const certifying = progressLine("3/3 certifying", "images");
  const { classifier, dispose } = await vitClassifier(vit, params, {
    executor,
    precision: options.precision,
    calibration: { dataset: train, sigma, key: root },
  });
  const suffix = options.precision === "int8" ? "-int8" : "";
  const log = join(folder, `certify-n-${n}-images-${images}${suffix}.tsv`);
  const rows: LogRow[] = [];
  for await (const row of certifyDataset(classifier, test, {
    sigma,
    n0,
    n,
    alpha,
    seed,
    skip: Math.floor(test.length / images),
    max: images,
    log,
    signal,
    onProgress: ({ done, total, rate }) =>
      certifying.update(done, total, `${Math.round(rate)} noisy images/s`),
  }))
    rows.push(row);
  dispose();
  certifying.end(`${rows.length} test images`);

  const reachable = certifiedRadius(clopperPearsonLower(n, n, alpha), sigma);
  const ours = `DMAE, this run (${rows.length} images, n = ${n.toLocaleString("en")})`;
  const table = [...publishedRows(sigma, radii), ourRow(ours, rows, radii)];
  const note = `No radius above ${reachable.toFixed(3)} can be certified with n = ${n} and alpha = ${alpha}.`;
  console.log(`\n${tableText(radii, table)}\n\n${note}\n${table.length > 1 ? publishedNote : ""}`);

  const file = join(folder, "report.html");
  await writeReport(file, {
    facts: {
      command: `npm start -- ${process.argv.slice(2).join(" ")}`.trim(),
      executor: runner,
      precision: options.precision,
      images: `${rows.length} of the 10,000 test images`,
      procedure: `CERTIFY, n0 = ${n0}, n = ${n}, alpha = ${alpha}`,
      seed: String(seed),
      "time of this session": `${Math.round((Date.now() - started) / 1000)} s`,
      log,
    },
    table: { radii, rows: table, note: `${note} ${publishedNote}` },
    curve: certifiedAccuracySvg([{ name: ours, rows }]),
    reconstructions: await reconstructions(dmaeRun.dmae, dmaeRun.params, test, {
      executor,
      key: foldIn(root, "pictures"),
      count: 8,
    }),
    examples: await Promise.all(
      rows.slice(0, 12).map(async (row) => ({
        picture: { pixels: (await test.get(row.idx)).image, width: 28, height: 28 },
        text: certificateText(row, test.classNames ?? []),
      })),
    ),
  });
  console.log(`\nreport   ${pathToFileURL(file)}\nlog      ${log}`);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") console.log(help);
  else await main(options);
  process.exit(0);
} catch (error) {
  if (!DmaeError.isInstance(error)) throw error;
  process.stderr.write(`\n${error.message}\n`);
  process.exit(error.code === "resume" ? 130 : 1);
}

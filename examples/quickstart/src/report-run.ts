import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { foldIn } from "@dmae/core";
import type { PretrainResult } from "@dmae/pretrain";
import { certifiedRadius, clopperPearsonLower, type LogRow } from "@dmae/smoothing-certify";
import { certifiedAccuracySvg } from "@dmae/smoothing-certify/report";
import { toPng } from "./pictures.ts";
import { reconstructions } from "./reconstruct.ts";
import { certificateText, writeReport } from "./report.ts";
import { certification, type Run } from "./stages.ts";
import { ourRow, publishedNote, publishedRows, tableText } from "./table.ts";

const radii = [0, 0.25, 0.5, 0.75];

/** Steps 6 and 7: the table on the terminal; report, curve and pictures in the run folder. */
export async function reportRun(
  run: Run,
  { dmae, params }: Pick<PretrainResult, "dmae" | "params">,
  { rows, log }: { rows: readonly LogRow[]; log: string },
): Promise<void> {
  const { options, folder, root, executor, runner, test, started } = run;
  const { sigma, n } = options;
  const { n0, alpha } = certification;
  const reachable = certifiedRadius(clopperPearsonLower(n, n, alpha), sigma);
  const model = options.pretrained ? "shipped model" : "this run";
  const ours = `DMAE, ${model} (${rows.length} images, n = ${n.toLocaleString("en")})`;
  const published = await publishedRows(sigma, rows, { radii, n });
  const table = [...published, ourRow(ours, rows, radii)];
  const limit = `No radius above ${reachable.toFixed(3)} can be certified with n = ${n} and alpha = ${alpha}.`;
  const note = published.length > 0 ? `${limit} ${publishedNote(rows.length, n)}` : limit;
  console.log(`\n${tableText(radii, table)}\n\n${note}`);

  const curve = certifiedAccuracySvg([{ name: ours, rows }]);
  const key = foldIn(root, "pictures");
  const pictures = await reconstructions(dmae, params, test, { executor, key, count: 8 });
  const path = (name: string) => join(folder, name);
  await writeFile(path("curve.svg"), curve);
  await writeFile(path("reconstructions.png"), toPng(pictures));
  await writeReport(path("report.html"), {
    facts: {
      command: ["npm start --", ...process.argv.slice(2)].join(" ").replace(/ --$/, ""),
      executor: runner,
      precision: options.precision,
      images: `${rows.length} of the ${test.length.toLocaleString("en")} test images`,
      procedure: `CERTIFY, n0 = ${n0}, n = ${n}, alpha = ${alpha}`,
      seed: String(options.seed),
      "time of this session": `${Math.round((Date.now() - started) / 1000)} s`,
      log,
    },
    table: { radii, rows: table, note },
    curve,
    reconstructions: pictures,
    examples: await Promise.all(
      rows.slice(0, 12).map(async (row) => ({
        picture: { pixels: (await test.get(row.idx)).image, width: 28, height: 28 },
        text: certificateText(row, test.classNames ?? []),
      })),
    ),
  });
  console.log(`\nreport    ${pathToFileURL(path("report.html"))}`);
  console.log(`pictures  ${path("curve.svg")}, ${path("reconstructions.png")}\nlog       ${log}`);
}

import { publishedSettings } from "@dmae/fashion-mnist/logs";
import { compareCurves, curveColumns, keptCurves, publishedCurve } from "./curve.ts";
import { markdownTable } from "./markdown-table.ts";
import { methodRows } from "./method-rows.ts";

/** docs/training-curves.md, from the curves of results/ alone. */
export function trainingCurvesPage(): string {
  const curves = keptCurves();
  const sections = methodRows.flatMap(({ name }) =>
    curves
      .filter(({ row }) => row === name)
      .map(({ seed, date, secondsPerEpoch, points }) => {
        const cost = `Seed ${seed}, ${date}, ${secondsPerEpoch} s an epoch.`;
        const table = markdownTable(curveColumns, compareCurves(points, publishedCurve(name)));
        return `## ${name}\n\n${cost}\n\n${table}`;
      }),
  );
  return `# Training curves of the published methods

<!-- Written by \`npm run results\` in examples/fashion-mnist from the logs; a test checks it. -->

LeNets on Fashion-MNIST: the first ten epochs of a row, ours / published. The number in a row's name is sigma.
In [examples/fashion-mnist](../examples/fashion-mnist/README.md), which has the hyperparameters,
\`npm start -- --row NAME --epochs 10 --compare\` trains ten epochs, and \`--compare\` alone shows the table.

- Published: ${publishedSettings.source}
  (${publishedSettings.license}). One seed stands against one seed.
- The log of CAT-RS at 0.25 begins with its third epoch, whose numbers look like those of a first one, as the
  logs at the other levels have it. Our epochs 2 to 8 have train losses within 0.003 of its epochs 4 to 10.
- Train loss and accuracy are those of the official logs: Stability and Consistency log the cross
  entropy alone, CAT-RS the sum of the lowest cross entropies, MACER the classification term,
  SmoothMix the whole loss. The official accuracy column of MACER and SmoothMix is a constant 0, shown
  as "-". The test set is measured under one draw of noise for each image.
- The official code was run for one epoch on the same images, with PyTorch 2.13: the train loss of Stability
  was 1.46 and 1.45 in two runs, the test loss of Consistency between 0.64 and 0.75 with lambda 10 and 20.

${sections.join("\n\n")}
`;
}

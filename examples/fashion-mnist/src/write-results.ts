// `npm run results`: writes docs/results.md and its curves, and docs/training-curves.md, from the logs.
import { writeFileSync } from "node:fs";
import { curvesFile, curvesPicture, sigmas } from "./result-pictures.ts";
import { resultsPage } from "./results.ts";
import { trainingCurvesPage } from "./training-curves.ts";

const docs = new URL("../../../docs/", import.meta.url);
for (const sigma of sigmas)
  writeFileSync(new URL(curvesFile(sigma), docs), await curvesPicture(sigma));
writeFileSync(new URL("results.md", docs), await resultsPage());
writeFileSync(new URL("training-curves.md", docs), trainingCurvesPage());

// `npm run results`: writes docs/results.md and its curves from the logs.
import { writeFileSync } from "node:fs";
import { curvesFile, curvesPicture, sigmas } from "./result-pictures.ts";
import { resultsPage } from "./results.ts";

const docs = new URL("../../../docs/", import.meta.url);
for (const sigma of sigmas)
  writeFileSync(new URL(curvesFile(sigma), docs), await curvesPicture(sigma));
writeFileSync(new URL("results.md", docs), await resultsPage());

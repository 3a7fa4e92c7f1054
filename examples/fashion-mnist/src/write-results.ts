// `npm run results`: writes docs/results.md from the logs.
import { writeFileSync } from "node:fs";
import { resultsPage } from "./results.ts";

writeFileSync(new URL("../../../docs/results.md", import.meta.url), await resultsPage());

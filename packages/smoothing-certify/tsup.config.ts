import { library } from "../../tsup.base.ts";

// Node's own modules are imported where they are needed, so that the rest runs in browsers too: package.json's
// "browser" field lists them, which bundlers then leave out.
const node = { platform: "node" as const, removeNodeProtocol: false };

export default library(
  {},
  // The noise worker is a file of its own: threads are started from it.
  { ...node, entry: { "noise-worker": "src/noise/noise-worker.ts" } },
  { ...node, entry: { cli: "src/cli/cli.ts" } },
);

import { library } from "../../tsup.base.ts";

// The worker is a file of its own: threads are started from it.
export default library(
  { platform: "node" },
  { entry: { browser: "src/browser.ts" } },
  { entry: { worker: "src/worker.ts" }, platform: "node" },
);

import { library } from "../../tsup.base.ts";

// The noise worker is a file of its own: threads are started from it.
export default library({}, { entry: { "noise-worker": "src/noise-worker.ts" }, platform: "node" });

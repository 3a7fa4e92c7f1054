import { library } from "../../tsup.base.ts";

// tfjs-core registers no gradients by itself. In Node those of @dmae/nn are taken, where they are
// inlined; for bundlers, which would leave out an import of it that names nothing, a file of our own.
export default library({ external: ["#gradients"] }, { entry: { gradients: "src/gradients.ts" } });

import { library } from "../../tsup.base.ts";

const node = { platform: "node" as const, removeNodeProtocol: false };

export default library(node, { ...node, entry: { cli: "src/cli.ts" } });

import { library } from "../../tsup.base.ts";

export default library({
  entry: { index: "src/index.ts", register: "src/register.ts", cli: "src/main.ts" },
  platform: "node",
});

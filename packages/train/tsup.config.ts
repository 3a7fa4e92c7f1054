import { library } from "../../tsup.base.ts";

export default library({ entry: { index: "src/index.ts", tasks: "src/tasks.ts" } });

import { library } from "../../tsup.base.ts";

// tfjs-core registers no gradients in Node. The Node build inlines its registration file;
// the default build keeps the deep import external so that bundlers share one copy of tfjs-core.
export default library(
  { external: ["#gradients"] },
  { entry: { gradients: "src/gradients.ts" } },
  {
    entry: { "gradients.node": "src/gradients.ts" },
    platform: "node",
    minify: true,
    noExternal: [/^@tensorflow\/tfjs-core\/dist\//],
  },
);

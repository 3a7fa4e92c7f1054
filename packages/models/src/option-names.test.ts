import { testOptionNames } from "../../../testing/option-names.ts";
import * as api from "./index.ts";

testOptionNames(
  api,
  { pretrained: (options) => api.pretrained("fashion-mnist-cr-0.25", options) },
  ["modelCards"],
);

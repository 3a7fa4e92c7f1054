import { testOptionNames } from "../../../testing/option-names.ts";
import * as api from "./index.ts";

testOptionNames(api, {}, ["world"]);

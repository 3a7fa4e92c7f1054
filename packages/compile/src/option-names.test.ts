import { testOptionNames } from "../../../testing/option-names.ts";
import * as executors from "./executors.ts";
import * as main from "./index.ts";

const api = { ...main, ...executors };

const program = { fn: () => ({}), specs: {} };

testOptionNames(
  api,
  {
    compile: (options) => api.compile(program, options),
    "compile (function)": (options) => api.compile(program.fn, program.specs, options),
    compileStep: (options) => api.compileStep({} as never, {} as never, options),
    compiledExecutor: (options) => api.compiledExecutor(options),
    exportOnnx: (options) => api.exportOnnx(program, options),
    quantize: (options) => api.quantize(program, options),
  },
  ["defaultExecutor", "physicalCores"],
);

// `@dmae/core/native`: C that is compiled on first use and kept. Not part of the API that users look for.

export { type CSource, compileC } from "./native/compile-c.ts";
export { keepLibrary } from "./native/library-cache.ts";
export { builtin, nodeProcess } from "./native/node.ts";
export { physicalCores } from "./native/physical-cores.ts";
export { reportOnce } from "./native/report-once.ts";
export { runProgram, words } from "./native/run-program.ts";

import type { World } from "@dmae/core";
import { checkData, checkRoot, operationNumber } from "./checks.ts";

/** The world of a process that was started alone: it needs no MPI. */
export const worldOfOne: World = {
  rank: 0,
  size: 1,
  async allReduce(data, operation = "sum") {
    checkData("allReduce", data);
    operationNumber(operation);
    return data;
  },
  async broadcast(data, root = 0) {
    checkData("broadcast", data);
    checkRoot(root, 1);
    return data;
  },
  async barrier() {},
  async abort(reason) {
    throw reason instanceof Error ? reason : new Error(String(reason));
  },
};

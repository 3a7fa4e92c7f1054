/** Rows written to a log, or read one by one, and the shard that a process of a cluster takes. */
export { readLogRows, writeLog } from "./log/log-file.ts";
export { mergeLogRows } from "./log/merge.ts";
export { parseShard, type Shard, shardFromEnvironment } from "./log/shard.ts";

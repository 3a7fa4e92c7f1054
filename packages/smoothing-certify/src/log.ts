/** Rows written to a log, and the shard that a process of a cluster takes. */
export { writeLog } from "./log/log-file.ts";
export { parseShard, type Shard, shardFromEnvironment } from "./log/shard.ts";

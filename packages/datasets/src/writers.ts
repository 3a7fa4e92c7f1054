/** Data sets written in the formats that this package reads. */
export { writeCifar10 } from "./write-cifar.ts";
export { type WriteTarOptions, writeTarShards } from "./write-tar-shards.ts";

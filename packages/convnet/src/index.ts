export type { ConvNetConfig, ConvNetName } from "./config.ts";
export { type ConvNet, createConvNet } from "./convnet.ts";
export { type ConvNetSource, loadConvNet } from "./load.ts";

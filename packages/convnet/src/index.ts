export type { ConvNetConfig, ConvNetName } from "./config.ts";
export { type ConvNet, createConvNet } from "./convnet.ts";
export { createDnCNN, type DenoiserOutput, type DnCnn, type DnCnnConfig } from "./dncnn.ts";
export { loadConvNet, type TensorSource } from "./load.ts";

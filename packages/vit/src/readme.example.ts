import { key } from "@dmae/core";
import { disposeTensors, selectBackend } from "@dmae/nn";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto");

const vit = createViT("vit_tiny_patch16", { numClasses: 10, inputSize: 32, imageSize: 64 });
const params = vit.init(key(0)); // or the tensors of a checkpoint: the names are PyTorch's
console.log(params["blocks.0.attn.qkv.weight"]!.shape); // [576, 192]

const images = tf.fill([2, 32, 32, 3], 0.5); // [B, H, W, C] in [0, 1]
const logits = vit.logits(params, images); // normalised, resized to 64 x 64, classified
console.log(logits.shape); // [2, 10]

tf.dispose([images, logits]);
disposeTensors(params);

import { createConvNet } from "@dmae/convnet";
import { createDnCNN } from "@dmae/convnet/denoising";
import { key } from "@dmae/core";
import { disposeTensors, selectBackend } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

await selectBackend("auto");

const net = createConvNet("cifar_resnet20");
const params = net.init(key(0)); // or a checkpoint: loadConvNet(net, checkpoint)
console.log(params["layer1.0.conv1.weight"]!.shape); // [16, 16, 3, 3]

const images = tf.fill([2, 32, 32, 3], 0.5); // [B, H, W, C] in [0, 1]
const { logits, updates } = net.apply(params, images, { training: true });
console.log(logits.shape); // [2, 10]
console.log(updates!["bn1.running_mean"]!.shape); // [16], the new running statistics

const denoiser = createDnCNN({ depth: 5 });
const weights = denoiser.init(key(1));
const { denoised } = denoiser.denoise(weights, images);
console.log(denoised.shape); // [2, 32, 32, 3]

tf.dispose([logits, images, denoised]);
[params, weights, updates!].forEach(disposeTensors);

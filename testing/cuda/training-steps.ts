import { type ConvNet, createConvNet } from "@dmae/convnet";
import { foldIn, type HostTensor, key, uniform } from "@dmae/core";
import { type Model, softmaxCrossEntropy, type Tensors } from "@dmae/nn";
import { adamw, createTrainStep, type Optimizer, sgd } from "@dmae/train";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";

/** A whole training step as one function: state and batch go in, the next state and the metrics come out. */
export interface TrainingStep {
  readonly fn: (inputs: Tensors) => Tensors;
  readonly inputs: Readonly<Record<string, HostTensor>>;
}

const [batch, classes] = [4, 10];

const floats = (name: string, shape: readonly number[]): HostTensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(
    uniform(
      foldIn(key(1), name),
      shape.reduce((n, d) => n * d, 1),
    ),
  ),
});

type Loss = (params: Tensors, x: tf.Tensor) => { logits: tf.Tensor; updates?: Tensors };

function stepOf(model: Model, loss: Loss, optimizer: Optimizer): TrainingStep {
  const params = model.initHost(key(0));
  const train = createTrainStep({
    loss: (params, { x, y }) => {
      const { logits, updates } = loss(params, x!);
      return { loss: tf.mean(softmaxCrossEntropy(logits, y!)), ...(updates && { updates }) };
    },
    optimizer,
    trainable: Object.keys(params).filter((name) => !name.includes(".running_")),
    schedule: () => 1e-3,
    stepsPerEpoch: 10,
  });
  const state = train.initState(params);
  const y = floats("targets", [batch, classes]);
  y.data.fill(0).forEach((_, i) => {
    if (i % (classes + 1) === 0) y.data[i] = 1;
  });
  const others = { x: floats("images", [batch, ...model.imageShape]), y, ...train.inputs(0) };
  const isState = new Set(Object.keys(state));
  const fn = (inputs: Tensors) => {
    const part = (wanted: boolean) =>
      Object.fromEntries(Object.entries(inputs).filter(([name]) => isState.has(name) === wanted));
    const { state: next, metrics } = train.step(part(true), part(false));
    return { ...next, ...metrics };
  };
  return { fn, inputs: { ...state, ...others } };
}

function convnetStep(net: ConvNet, optimizer: Optimizer): TrainingStep {
  return stepOf(net, (params, x) => net.apply(params, x, { training: true }), optimizer);
}

function vitStep(optimizer: Optimizer): TrainingStep {
  const vit = createViT(
    { width: 48, depth: 2, heads: 3 },
    { imageSize: 16, patchSize: 4, channels: 3, numClasses: classes },
  );
  return stepOf(vit, (params, x) => ({ logits: vit.logits(params, x) }), optimizer);
}

const momentum = { momentum: 0.9, weightDecay: 1e-4 };

/** Steps of small models that between them make every kind of kernel. */
export const trainingSteps = {
  "a ViT with AdamW": () => vitStep(adamw()),
  "a ViT with SGD": () => vitStep(sgd(momentum)),
  "LeNet with SGD": () => convnetStep(createConvNet("lenet"), sgd(momentum)),
  "ResNet-20 with SGD": () =>
    convnetStep(createConvNet("cifar_resnet20", { inputSize: 8, width: 4 }), sgd(momentum)),
} as const;

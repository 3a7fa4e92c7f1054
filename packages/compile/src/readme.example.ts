import { compile, compileStep, exportOnnx, quantize } from "@dmae/compile";
import { foldIn, key, normal, uniform } from "@dmae/core";
import { type Tensors, valueAndGradients } from "@dmae/nn";
import { gelu, linear, xavierUniform, zeros } from "@dmae/nn/layers";
import * as tf from "@tensorflow/tfjs-core";

// Any function: its inputs are plain arrays, the specs know the shapes.
const square = await compile(({ x }) => tf.square(x), { x: [2] });
console.log((await square({ x: [2, 3] })).data); // Float32Array [4, 9]
square.dispose();

// Any pure function of tensors: here a small network, and one step of training it.
const network = (p: Tensors, x: tf.Tensor) =>
  linear(gelu(linear(x, p["fc1.weight"]!, p["fc1.bias"]!)), p["fc2.weight"]!, p["fc2.bias"]!);

const shape = [64, 32];
const step = await compileStep(
  (params, { x, y }) => {
    const { loss, gradients } = valueAndGradients(
      (p) => ({ loss: tf.mean(tf.squaredDifference(network(p, x), y)) }),
      params,
    );
    const state = Object.fromEntries(
      Object.entries(params).map(([name, p]) => [name, tf.sub(p, tf.mul(gradients[name]!, 0.2))]),
    );
    return { state, metrics: { loss } };
  },
  {
    state: {
      "fc1.weight": xavierUniform(key(1), [128, 32]),
      "fc1.bias": zeros([128]),
      "fc2.weight": xavierUniform(key(2), [32, 128]),
      "fc2.bias": zeros([32]),
    },
    batch: { x: shape, y: shape },
  },
);

const draw = (index: number) => normal(foldIn(key(3), index), 64 * 32);
for (let i = 0; i < 100; i++) {
  const x = draw(i);
  const { loss } = await step({ x, y: x.map(Math.abs) }); // learn |x|
  if (i % 33 === 0) console.log(i, loss); // falls
}
const params = await step.state(); // plain arrays
step.dispose();

// The trained function: float32, int8 with fixed scales, and as a file for any language.
const fn = ({ x, ...p }: Tensors) => ({ y: network(p, x!) });
const program = { fn, specs: { x: shape }, constants: params };
const calibration = [1001, 1002, 1003].map((i) => ({ x: draw(i) }));
const quantization = await quantize(program, { calibration });
const x = uniform(key(4), 64 * 32);
for (const precision of ["float32", "int8"] as const) {
  const compiled = await compile(program, { precision, quantization });
  console.log(precision, (await compiled({ x })).y.data[0]);
  compiled.dispose();
}
const file = exportOnnx(program, { dynamicBatch: true });
console.log(file.length); // writeFile("network.onnx", file)

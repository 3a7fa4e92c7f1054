import { compile, compileStep, exportOnnx, quantize } from "@dmae/compile";
import { foldIn, type HostTensor, key, normal, uniform } from "@dmae/core";
import { gelu, linear, type Tensors, valueAndGradients, xavierUniform, zeros } from "@dmae/nn";
import * as tf from "@tensorflow/tfjs-core";

// Any pure function of tensors: here a small network, and one step of training it.
const network = (p: Tensors, x: tf.Tensor) =>
  linear(gelu(linear(x, p["fc1.weight"]!, p["fc1.bias"]!)), p["fc2.weight"]!, p["fc2.bias"]!);

const shape = [64, 32];
const step = await compileStep(
  (params, { x, y }) => {
    const { loss, gradients } = valueAndGradients(
      (p) => ({ loss: tf.mean(tf.squaredDifference(network(p, x!), y!)) }),
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
    batch: { x: { shape }, y: { shape } },
  },
);

const draw = (index: number): HostTensor => ({
  dtype: "float32",
  shape,
  data: normal(foldIn(key(3), index), 64 * 32),
});
for (let i = 0; i < 100; i++) {
  const x = draw(i);
  const y = { ...x, data: x.data.map((v) => Math.abs(v)) }; // learn |x|
  const { loss } = await step.run({ x, y });
  if (i % 33 === 0) console.log(i, loss); // falls
}
const params = await step.state(); // plain arrays
step.dispose();

// The trained function: float32, int8 with fixed scales, and as a file for any language.
const fn = ({ x, ...p }: Tensors) => ({ y: network(p, x!) });
const specs = { x: { shape } };
const calibration = [1001, 1002, 1003].map((i) => ({ x: draw(i) }));
const quantization = await quantize(fn, specs, { constants: params, calibration });
const input = { ...draw(0), data: uniform(key(4), 64 * 32) };
for (const precision of ["float32", "int8"] as const) {
  const program = await compile(fn, specs, { constants: params, precision, quantization });
  const { y } = await program.call({ x: input });
  console.log(precision, y.data[0]);
  program.dispose();
}
const file = exportOnnx(fn, specs, { constants: params, dynamicBatch: true });
console.log(file.length); // writeFile("network.onnx", file)

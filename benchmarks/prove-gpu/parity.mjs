// Logits, losses, gradients and the changes of three AdamW steps, on a provider, against recorded values of PyTorch in float64
// (pytorch.json, which testing/reference/card_parity.py wrote).
import { readFileSync } from "node:fs";
import { compile, compileStep } from "@dmae/compile";
import { key } from "@dmae/core";
import { softmaxCrossEntropy } from "@dmae/nn";
import { adamw, createTrainStep } from "@dmae/train";
import { createViT } from "@dmae/vit";
import * as tf from "@tensorflow/tfjs-core";
import { hashed, hashedParameters, summary } from "./hashed.mjs";
import { labels } from "./models.mjs";

const recorded = JSON.parse(readFileSync(new URL("pytorch.json", import.meta.url), "utf8"));

/** Largest accepted distance from PyTorch, relative to the largest value; AdamW magnifies errors of small gradients. */
const accepted = {
  float32: { results: 1e-4, changes: 1e-3 },
  bfloat16: { results: 0.06, changes: 0.6 },
  float16: { results: 0.02, changes: 0.06 },
};

export async function parity({ provider, toy, precisions, row }) {
  const model = modelOf(recorded.models[toy ? "toy" : "small"]);
  const kinds = provider === "webgpu" ? ["standard"] : ["standard", "generated"];
  for (const [precision, kernels] of precisions.flatMap((p) => kinds.map((kind) => [p, kind])))
    await row(`parity ${precision}, ${kernels} kernels`, async () => {
      const options = { provider, precision, kernels };
      const found = { logits: await logits(model, options), ...(await train(model, options)) };
      const { wanted } = model;
      const distances = {
        logits: distance([wanted.logits], [found.logits]),
        loss: distance([wanted.loss], [found.loss]),
        gradients: between(wanted.gradients, found.gradients),
        changes: between(wanted.changes, found.changes),
      };
      const { results, changes } = accepted[precision];
      const worst = Math.max(distances.logits, distances.loss, distances.gradients);
      const ok = worst <= results && distances.changes <= changes;
      return { ...distances, accepted: `${results} and ${changes}`, memory: found.memory, ok };
    });
}

function modelOf({ shape, ...wanted }) {
  const { image, patch, width, depth, heads, classes } = shape;
  const { batch, mean, std, learningRate, epsilon } = recorded;
  const vit = createViT(
    { width, depth, heads },
    {
      ...{ imageSize: image, patchSize: patch, channels: 3, numClasses: classes },
      ...{ mean, std, globalPool: false },
    },
  );
  const x = { dtype: "float32", shape: [batch, image, image, 3] };
  const train = createTrainStep({
    loss: (p, { x, y }) => ({ loss: tf.mean(softmaxCrossEntropy(vit.logits(p, x), y)) }),
    optimizer: adamw({ epsilon }),
    schedule: () => learningRate,
    stepsPerEpoch: 100,
  });
  return {
    wanted,
    vit,
    train,
    params: hashedParameters(vit.initHost(key(0))),
    inputs: {
      x: { ...x, data: hashed(1000, batch * image * image * 3) },
      y: labels(batch, classes),
    },
  };
}

async function logits({ vit, params, inputs }, options) {
  const run = await compile(
    {
      fn: ({ x, ...p }) => ({ logits: vit.logits(p, x) }),
      specs: { x: { shape: inputs.x.shape } },
      constants: params,
    },
    options,
  );
  const { data } = (await run({ x: inputs.x })).logits;
  run.dispose();
  return data;
}

/** Three steps; the first moment after one step is a tenth of its gradient. */
async function train({ train, params, inputs, wanted }, options) {
  const state = train.initState(params);
  const batch = { ...inputs, ...train.inputs(0) };
  const specs = Object.fromEntries(
    Object.entries(batch).map(([name, { shape, dtype }]) => [name, { shape, dtype }]),
  );
  const step = await compileStep(train.step, { state, batch: specs }, options);
  const loss = [];
  let gradients;
  // float16 skips steps until its scale fits
  for (let i = 0; loss.length < wanted.loss.length && i < 40; i++) {
    const metrics = await step({ ...inputs, ...train.inputs(loss.length) });
    if (metrics.skipped) continue;
    loss.push(metrics.loss);
    gradients ??= summaries(await step.state(), params, (after, name) =>
      after[`optimizer.exp_avg.${name}`].data.map((v) => v / 0.1),
    );
  }
  const changes = summaries(await step.state(), params, (after, name) =>
    after[`params.${name}`].data.map((v, i) => v - params[name].data[i]),
  );
  const { memory } = step.statistics;
  step.dispose();
  return { loss, gradients, changes, memory };
}

const summaries = (state, params, values) =>
  Object.fromEntries(Object.keys(params).map((name) => [name, summary(values(state, name))]));

/** The distance of summaries: of the norms, and of the values. */
function between(wanted, found) {
  const names = Object.keys(wanted);
  const norms = (from) => names.map((name) => [from[name]?.[0] ?? Number.NaN]);
  const values = (from) => names.map((name) => from[name]?.slice(1) ?? [Number.NaN]);
  return Math.max(distance(norms(wanted), norms(found)), distance(values(wanted), values(found)));
}

function distance(wanted, found) {
  let most = 0;
  let largest = 0;
  for (const [row, values] of wanted.entries())
    for (const [i, value] of values.entries()) {
      const difference = Math.abs((found[row][i] ?? Number.NaN) - value);
      most = Math.max(most, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
      largest = Math.max(largest, Math.abs(value));
    }
  return Number((most / largest).toPrecision(4));
}

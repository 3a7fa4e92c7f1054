// Logits, and three AdamW steps with their gradients, on a provider against onnxruntime-node's CPU in float32, which the tests of
// this repository compare with recorded PyTorch values.
import { compile, compileStep } from "@dmae/compile";
import { forwardProgram, shapes, trainingStep } from "./models.mjs";

/** Largest accepted distance from float32 on the CPU, relative to the largest value. */
const accepted = { float32: 1e-4, bfloat16: 0.06, float16: 0.02 };
const steps = 3;

export async function parity({ provider, toy, precisions, row }) {
  const shape = toy ? shapes.toy : shapes.small;
  const batch = 4;
  const wanted = { logits: await logits(shape, batch, {}), ...(await train(shape, batch, {})) };
  for (const precision of precisions)
    await row(`parity ${precision}`, async () => {
      const options = { provider, precision };
      const found = {
        logits: await logits(shape, batch, options),
        ...(await train(shape, batch, options)),
      };
      const distances = Object.fromEntries(
        Object.keys(wanted).map((name) => [name, distance(wanted[name], found[name])]),
      );
      const worst = Math.max(distances.logits, distances.loss, distances.gradients);
      return { ...distances, accepted: accepted[precision], ok: worst <= accepted[precision] };
    });
}

async function logits(shape, batch, options) {
  const { program, inputs } = forwardProgram(shape, batch);
  const run = await compile(program, options);
  const { data } = (await run(inputs)).logits;
  run.dispose();
  return data;
}

/** The losses, and the mean gradients that three steps leave in the optimizer. */
async function train(shape, batch, options) {
  const { train, state, inputs, specs } = trainingStep(shape, batch);
  const step = await compileStep(train.step, { state, batch: specs }, options);
  const loss = [];
  for (let i = 0; loss.length < steps && i < 40; i++) {
    const metrics = await step({ ...inputs, ...train.inputs(loss.length) });
    if (!metrics.skipped) loss.push(metrics.loss);
  }
  const after = await step.state();
  step.dispose();
  const names = Object.keys(state).filter((name) => name.startsWith("optimizer.exp_avg."));
  return { loss, gradients: names.flatMap((name) => Array.from(after[name].data)) };
}

function distance(wanted, found) {
  let most = 0;
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) {
    most = Math.max(most, Number.isFinite(found[i]) ? Math.abs(found[i] - wanted[i]) : Infinity);
    largest = Math.max(largest, Math.abs(wanted[i]));
  }
  return most / largest;
}

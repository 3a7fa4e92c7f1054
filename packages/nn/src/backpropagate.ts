import { DmaeError } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

/** One recorded kernel: TensorFlow.js's own record, the part that is read here. */
interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  readonly saved: readonly tf.Tensor[];
  readonly gradient?: (dys: (tf.Tensor | undefined)[]) => Readonly<Record<string, () => tf.Tensor>>;
}

/** Runs `fn` with the tape on; whatever it throws, the tape's tensors are released. */
export function record<T>(fn: () => T): { value: T; tape: readonly TapeNode[] } {
  const state = tf.engine().state;
  if (state.gradientDepth > 0)
    throw new DmaeError(
      "unsupported",
      "valueAndGradients: gradients of gradients are not supported; if the inner ones are constants of the outer, wrap them in withoutGradient",
    );
  state.activeTape = [];
  state.gradientDepth++;
  const tape = state.activeTape as unknown as TapeNode[];
  try {
    return { value: fn(), tape };
  } catch (error) {
    release(tape);
    throw error;
  } finally {
    state.gradientDepth--;
    state.activeTape = null as unknown as typeof state.activeTape;
  }
}

/** Disposes of what the nodes kept for their gradients. */
export function release(tape: readonly TapeNode[]): void {
  for (const node of tape) for (const tensor of node.saved) tensor.dispose();
}

/**
 * d y / d x for each of `xs`, walking the tape backward: what TensorFlow.js does in
 * `engine.gradients`, except that each node's saved activations and the gradients of its outputs are
 * released as soon as they have been used, not when everything is done: the peak is what the forward
 * pass kept, not twice that.
 *
 * @param seed the gradient of y by itself that it starts from
 * @returns one gradient for each of `xs`, undefined where y does not depend on it
 */
export function backpropagate(
  tape: readonly TapeNode[],
  xs: readonly tf.Tensor[],
  y: tf.Tensor,
  seed: tf.Tensor = tf.onesLike(y),
): (tf.Tensor | undefined)[] {
  const { steps, idle } = stepsBetween(tape, xs, y);
  release(idle);
  const gradients = new Map<number, tf.Tensor>([[y.id, seed]]);
  for (let i = steps.length - 1; i >= 0; i--) {
    const { node, inputs } = steps[i]!;
    const dys = node.outputs.map((output) => gradients.get(output.id));
    const dxs = inputGradients(node, inputs, dys);
    release([node]);
    for (const output of node.outputs) {
      gradients.get(output.id)?.dispose();
      gradients.delete(output.id);
    }
    inputs.forEach((name, k) => {
      accumulate(gradients, node.inputs[name]!.id, dxs[k]!);
    });
  }
  return xs.map((x) => gradients.get(x.id));
}

/** The nodes on a way from `xs` to `y`, each with its inputs that depend on `xs`; and all others. */
function stepsBetween(tape: readonly TapeNode[], xs: readonly tf.Tensor[], y: tf.Tensor) {
  const fromX = new Set(xs.map((x) => x.id));
  const reached = tape.filter((node) => {
    if (!Object.values(node.inputs).some((input) => fromX.has(input.id))) return false;
    for (const output of node.outputs) fromX.add(output.id);
    return true;
  });
  const toY = new Set([y.id]);
  const used = new Set<TapeNode>();
  for (const node of reached.reverse()) {
    if (!node.outputs.some((output) => toY.has(output.id))) continue;
    for (const input of Object.values(node.inputs)) toY.add(input.id);
    used.add(node);
  }
  const steps = tape
    .filter((node) => used.has(node))
    .map((node) => ({
      node,
      inputs: Object.keys(node.inputs).filter((name) => fromX.has(node.inputs[name]!.id)),
    }));
  return { steps, idle: tape.filter((node) => !used.has(node)) };
}

function inputGradients(
  node: TapeNode,
  inputs: readonly string[],
  dys: (tf.Tensor | undefined)[],
): tf.Tensor[] {
  const { gradient, kernelName } = node;
  if (!gradient)
    throw new DmaeError("unsupported", `valueAndGradients: ${kernelName} has no gradient`);
  return tf.tidy(() => {
    const of = gradient(dys);
    const results: tf.Tensor[] = [];
    for (const name of inputs) {
      const dx = of[name]?.();
      const { shape } = node.inputs[name]!;
      if (dx?.dtype !== "float32" || `${dx.shape}` !== `${shape}`)
        throw new DmaeError(
          "shape",
          `valueAndGradients: the gradient of ${kernelName} for its input ${name} must be float32 [${shape}], got ${dx ? `${dx.dtype} [${dx.shape}]` : "none"}`,
        );
      // A gradient handed through as it came, or twice, would be disposed of twice.
      results.push(dys.includes(dx) || results.includes(dx) ? tf.clone(dx) : dx);
    }
    return results;
  });
}

function accumulate(gradients: Map<number, tf.Tensor>, id: number, dx: tf.Tensor): void {
  const before = gradients.get(id);
  gradients.set(id, before ? tf.add(before, dx) : dx);
  if (!before) return;
  before.dispose();
  dx.dispose();
}

import { DmaeError, type HostTensor, type HostTensors } from "@dmae/core";
import * as tf from "@tensorflow/tfjs-core";

/**
 * Named tensors, flat. Keys of model parameters are the official PyTorch state-dict names
 * (`blocks.0.attn.qkv.weight`), layouts too (`[out, in]` for linear layers).
 */
export type Tensors = Record<string, tf.Tensor>;

/** The parameters of a model; whoever called `init` disposes of them. */
export type Params = Tensors;

/**
 * Copies host tensors onto the current backend.
 *
 * @returns one tensor of the same name for each; the caller disposes of them ({@link disposeTensors})
 * @throws DmaeError "shape" if the number of values does not fit the shape
 */
export function toTensors(host: HostTensors): Tensors {
  const tensors: Tensors = {};
  for (const [name, { shape, dtype, data }] of Object.entries(host)) {
    const size = shape.reduce((product, length) => product * length, 1);
    if (data.length !== size)
      throw new DmaeError(
        "shape",
        `toTensors: ${name} of shape [${shape}] needs ${size} values, got ${data.length}`,
        { name, shape, received: data.length },
      );
    tensors[name] = tf.tensor(data.slice(), [...shape], dtype); // the cpu backend keeps the array
  }
  return tensors;
}

const toHostTensor = (tensor: tf.Tensor, data: unknown): HostTensor => ({
  dtype: tensor.dtype as HostTensor["dtype"],
  shape: tensor.shape.slice(),
  data: (data as HostTensor["data"]).slice() as HostTensor["data"], // the cpu backend hands out its own
});

/** Copies tensors to the host; disposes of nothing. */
export async function toHost(tensors: Readonly<Tensors>): Promise<Record<string, HostTensor>> {
  const entries = Object.entries(tensors);
  const values = await Promise.all(entries.map(([, tensor]) => tensor.data()));
  return Object.fromEntries(
    entries.map(([name, tensor], i) => [name, toHostTensor(tensor, values[i])]),
  );
}

/** Disposes of every tensor of the record. */
export function disposeTensors(tensors: Readonly<Tensors>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}

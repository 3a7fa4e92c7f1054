import { DmaeError, type HostTensor } from "@dmae/core";

/** Tensors by name that are read when asked for; a checkpoint of `@dmae/checkpoint` is one. */
export interface ConvNetSource {
  /** Every name. */
  readonly names: readonly string[];
  /** Shape of a tensor. */
  spec(name: string): { readonly shape: readonly number[] };
  /** Values of a tensor. */
  read(name: string): Promise<HostTensor>;
}

const ownName = (name: string) => name.replace(/^(module\.|1\.)+/, "");
const ignored = (name: string) => name.endsWith(".num_batches_tracked");

/**
 * The parameters and running statistics of a network from an official checkpoint. The prefixes that PyTorch adds are
 * taken off (`1.` of a Sequential behind the normalisation, `module.` of DataParallel), and `num_batches_tracked` is
 * passed over.
 *
 * @param network of {@link createConvNet} or `createDnCNN`
 * @param checkpoint e.g. `(await loadCheckpoint("checkpoint.pth.tar")).…` of `@dmae/checkpoint`, already at the state dict
 * @returns host tensors in the order of the network
 * @throws DmaeError "checkpoint" that lists every missing, unknown and reshaped name
 * @example
 * ```ts
 * const params = await loadConvNet(createConvNet("lenet"), await loadCheckpoint("lenet.safetensors"));
 * ```
 */
export async function loadConvNet(
  network: { readonly shapes: Readonly<Record<string, readonly number[]>> },
  checkpoint: ConvNetSource,
): Promise<Record<string, HostTensor>> {
  const { shapes } = network;
  const sources = new Map<string, string>();
  const problems: string[] = [];
  for (const name of checkpoint.names.filter((name) => !ignored(name))) {
    const own = ownName(name);
    if (!Object.hasOwn(shapes, own)) problems.push(`${name} is unknown`);
    else if (sources.has(own)) problems.push(`${name} and ${sources.get(own)} are both ${own}`);
    else sources.set(own, name);
  }
  for (const [own, shape] of Object.entries(shapes)) {
    const name = sources.get(own);
    if (name === undefined) problems.push(`${own} [${shape}] is missing`);
    else if (`${checkpoint.spec(name).shape}` !== `${shape}`)
      problems.push(`${name} must be [${shape}], got [${checkpoint.spec(name).shape}]`);
  }
  if (problems.length > 0)
    throw new DmaeError(
      "checkpoint",
      `loadConvNet: the checkpoint does not fit the network: ${problems.join("; ")}`,
      { problems },
    );
  const params: Record<string, HostTensor> = {};
  for (const own of Object.keys(shapes)) params[own] = await checkpoint.read(sources.get(own)!);
  return params;
}

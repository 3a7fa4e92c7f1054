/** A node of an ONNX graph, as far as it is looked at here. */
export interface OnnxNode {
  readonly type: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Integer attributes. */
  readonly integers: ReadonlyMap<string, number>;
}

/** What an ONNX file says about its nodes. */
export interface OnnxGraph {
  /** Nodes of the graph, its subgraphs and its functions. */
  readonly nodes: readonly OnnxNode[];
  /** Boolean and integer scalars among the initializers, by name. */
  readonly scalars: ReadonlyMap<string, number>;
  /** Files that hold weights, relative to the folder of the model. */
  readonly weightFiles: ReadonlySet<string>;
}

/** A graph that is being read. */
interface Draft {
  readonly nodes: OnnxNode[];
  readonly scalars: Map<string, number>;
  readonly weightFiles: Set<string>;
}

/** Parts of a graph that matter to a certificate, as phrases. */
export interface Suspects {
  readonly rowMixers: readonly string[];
  readonly randomParts: readonly string[];
}

/**
 * Reads the nodes of an ONNX file. Only the few protobuf fields that are needed are looked at, all
 * else is stepped over, so the size of the weights does not matter.
 */
export function readOnnxGraph(bytes: Uint8Array): OnnxGraph {
  const draft: Draft = { nodes: [], scalars: new Map(), weightFiles: new Set() };
  for (const [field, value] of fields(bytes)) {
    if (typeof value === "number") continue;
    if (field === 7) readGraph(value, draft);
    if (field === 25)
      for (const [part, inner] of fields(value))
        if (part === 7 && typeof inner !== "number") readNode(inner, draft);
  }
  return draft;
}

/** Names the nodes that mix the rows of a batch or draw random numbers. */
export function findSuspects({ nodes, scalars }: OnnxGraph): Suspects {
  const rowMixers: string[] = [];
  const randomParts: string[] = [];
  for (const node of nodes) {
    const label = node.name ? `${node.type} "${node.name}"` : node.type;
    if (/^DynamicQuantize/.test(node.type))
      rowMixers.push(`${label} takes its scale from the whole batch (dynamic quantization)`);
    const normalizes = node.type === "BatchNormalization";
    const outputs = node.outputs.filter((name) => name !== "").length;
    if (normalizes && (node.integers.get("training_mode") === 1 || outputs > 1))
      rowMixers.push(`${label} is in training mode and normalizes by the batch`);
    if (node.type === "Dropout" && node.inputs[2] && scalars.get(node.inputs[2]) !== 0)
      randomParts.push(`${label} is in training mode`);
    if (/^(Random(Normal|Uniform)(Like)?|Bernoulli|Multinomial)$/.test(node.type))
      randomParts.push(`${label} draws random numbers`);
  }
  return { rowMixers, randomParts };
}

/** Type of the node that makes a value, without the casts and reshapes after it. */
export function lastOperatorOf({ nodes }: OnnxGraph, value: string): string | undefined {
  const passes = /^(Identity|Cast|Reshape|Squeeze|Unsqueeze|Flatten)$/;
  for (let name = value, steps = 0; steps < 16; steps++) {
    const node = nodes.find(({ outputs }) => outputs.includes(name));
    if (!node || !passes.test(node.type)) return node?.type;
    name = node.inputs[0] ?? "";
  }
  return undefined;
}

/** Most nodes of a graph; the largest models have some ten thousand. */
const maxNodes = 1_000_000;

function readGraph(bytes: Uint8Array, draft: Draft): void {
  for (const [field, value] of fields(bytes)) {
    if (typeof value === "number") continue;
    if (field === 1) readNode(value, draft);
    if (field === 5) readScalar(value, draft);
    if (field === 15)
      for (const [, part] of fields(value)) if (typeof part !== "number") readExternal(part, draft);
  }
}

function readNode(bytes: Uint8Array, draft: Draft): void {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const integers = new Map<string, number>();
  let name = "";
  let type = "";
  for (const [field, value] of fields(bytes)) {
    if (typeof value === "number") continue;
    if (field === 1) inputs.push(text(value));
    if (field === 2) outputs.push(text(value));
    if (field === 3) name = text(value);
    if (field === 4) type = text(value);
    if (field === 5) readAttribute(value, integers, draft, outputs[0]);
  }
  if (draft.nodes.length >= maxNodes) throw new RangeError(`it has more than ${maxNodes} nodes`);
  draft.nodes.push({ type, name, inputs, outputs, integers });
}

/** Integers are kept, subgraphs are read, a tensor is taken for the value of a Constant node. */
function readAttribute(
  bytes: Uint8Array,
  integers: Map<string, number>,
  draft: Draft,
  output: string | undefined,
): void {
  let name = "";
  for (const [field, value] of fields(bytes)) {
    if (typeof value === "number") {
      if (field === 3) integers.set(name, value);
    } else if (field === 1) name = text(value);
    else if (field === 5 && output) readScalar(value, draft, output);
    else if (field === 5 || field === 10) readExternal(value, draft);
    else if (field === 6 || field === 11) readGraph(value, draft);
  }
}

const BOOL = 9;

/** The one element of a boolean or small integer tensor; others are left out. */
function readScalar(bytes: Uint8Array, draft: Draft, as?: string): void {
  let name = as ?? "";
  let size = 1;
  let type = 0;
  let element = 0;
  for (const [field, value] of fields(bytes)) {
    if (field === 1) size *= typeof value === "number" ? value : 1;
    if (field === 2 && typeof value === "number") type = value;
    if (field === 5) element = typeof value === "number" ? value : (value[0] ?? 0);
    if (field === 8 && typeof value !== "number" && as === undefined) name = text(value);
    if (field === 9 && typeof value !== "number") element = value[0] ?? 0;
  }
  readExternal(bytes, draft);
  if (type === BOOL && size === 1) draft.scalars.set(name, element);
}

/** Weights of a tensor that lie in another file must lie in the folder of the model, or below it. */
function readExternal(tensor: Uint8Array, { weightFiles }: Draft): void {
  for (const [field, entry] of fields(tensor)) {
    if (field !== 13 || typeof entry === "number") continue;
    const [key, value] = [1, 2].map((wanted) => {
      const found = [...fields(entry)].find(([part]) => part === wanted)?.[1];
      return typeof found === "object" ? text(found) : "";
    });
    if (key !== "location" || !value) continue;
    if (/(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[a-z]:|\0/i.test(value))
      throw new RangeError(
        `weights must lie in the folder of the model, got ${JSON.stringify(value)}`,
      );
    weightFiles.add(value);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** The fields of a protobuf message: numbers for varints, bytes for the rest. */
function* fields(bytes: Uint8Array): Generator<[number, number | Uint8Array]> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      if (scale > 2 ** 63) throw new RangeError("it holds a number of more than ten bytes");
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("the file ends in the middle of a number");
  };
  const take = (length: number) => {
    if (at + length > bytes.length) throw new RangeError("the file ends in the middle of a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) yield [field, varint()];
    else if (wire === 1) yield [field, take(8)];
    else if (wire === 2) yield [field, take(varint())];
    else if (wire === 5) yield [field, take(4)];
    else throw new RangeError(`field ${field} has the unknown wire type ${wire}`);
  }
}

import {
  type AttributesOf,
  type DomainOf,
  type Given,
  type NameOf,
  type Operator,
  outputsOf,
} from "./operators.ts";
import {
  allocate,
  type ConstantData,
  type ElementType,
  type Operand,
  type OutputSpec,
  sameShape,
  sizeOf,
} from "./tensors.ts";

export { type Attribute, type FloatAttribute, float } from "./operators.ts";
export * from "./tensors.ts";

/** One tensor of a graph: an input, a constant, or output `index` of `node`. */
export interface Value extends Operand {
  readonly id: number;
  readonly node: Node | null;
  readonly index: number;
  /** Given by the user: an input's or a parameter's name. */
  name: string | null;
}

interface NodeOf<Op, Domain, Attributes> {
  readonly op: Op;
  readonly domain: Domain;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes;
  readonly outputs: Value[];
}

/** The name of a generated operator. */
export type KernelName = `${"Fused" | "Product" | "Attention" | "Window"}${number}`;

/** One operation: an operator of the table, or a generated one; its name and domain say which attributes it has. */
export type Node =
  | { [K in Operator]: NodeOf<NameOf<K>, DomainOf<K>, AttributesOf<K>> }[Operator]
  | NodeOf<KernelName, "dmae.kernels", Readonly<Record<string, never>>>;

/** What a node does, without its operands. */
export type Operation = Pick<Node, "op" | "domain" | "attributes">;

/**
 * What is transposed here waits for the garbage collector while a session is made, beside the runtime's copy: 85 MB of
 * ViT-B's weights. Up to a quarter of a MiB saves the runtime the small ones.
 */
const MOST_TRANSPOSED = 1 << 16;

/**
 * A data-flow graph in static single assignment: nodes in the order in which they were added, which is
 * a topological one. Equal nodes (op, inputs, attributes) and equal small constants are shared.
 */
export class Graph {
  /** @param mostTransposed elements of the largest constant that is transposed here; larger ones the runtime transposes */
  constructor(readonly mostTransposed = MOST_TRANSPOSED) {}

  readonly inputs: Value[] = [];
  readonly nodes: Node[] = [];
  private nextId = 0;
  private readonly shared = new Map<string, Node>();
  private readonly constants = new Map<string, Value>();
  private readonly byArray = new WeakMap<object, Value[]>();

  input(name: string, dtype: ElementType, shape: readonly number[]): Value {
    const value = this.value(dtype, shape, null, this.inputs.length, null, false, name);
    this.inputs.push(value);
    return value;
  }

  /** A constant that holds `data`, which must not change afterwards. */
  constant(
    dtype: ElementType,
    shape: readonly number[],
    data: ConstantData,
    name: string | null = null,
  ): Value {
    if (name === null && data.length > 1 && isUniform(data))
      return this.splat(dtype, shape, data[0]!);
    if (data.length <= 64 && name === null) {
      const key = `${dtype}|${shape.join()}|${bitsOf(data)}`;
      return this.once(key, () => this.value(dtype, shape, null, 0, data, false, null));
    }
    const known = this.byArray.get(data) ?? [];
    const same = known.find((v) => v.dtype === dtype && sameShape(v.shape, shape));
    if (same) return same;
    const value = this.value(dtype, shape, null, 0, data, false, name);
    this.byArray.set(data, [...known, value]);
    return value;
  }

  /** A constant with one value everywhere. */
  splat(dtype: ElementType, shape: readonly number[], fill: number | bigint): Value {
    const data = allocate(dtype, 1);
    data[0] = dtype === "int64" ? BigInt(fill) : Number(fill);
    const key = `${dtype}|${shape.join()}|s${bitsOf(data)}`;
    return this.once(key, () => this.value(dtype, shape, null, 0, data, sizeOf(shape) !== 1, null));
  }

  scalar(dtype: ElementType, fill: number): Value {
    return this.splat(dtype, [], fill);
  }

  /** A vector of integers, for shapes and axes. */
  integers(values: readonly number[]): Value {
    const data = BigInt64Array.from(values, BigInt);
    const key = `int64|v|${values.join()}`;
    return this.once(key, () => this.value("int64", [values.length], null, 0, data, false, null));
  }

  /** The first `count` outputs of an operator; their shapes and dtypes follow from its rule. */
  addAll<K extends Operator>(
    op: K,
    inputs: readonly (Value | null)[],
    attributes: AttributesOf<K>,
    count?: number,
  ): Value[] {
    const [name, domain = ""] = op.split(":").reverse();
    const outputs = outputsOf(op, inputs as Value[], attributes).slice(0, count);
    return this.append({ op: name, domain, attributes } as Operation, inputs, outputs);
  }

  /** The first output of an operator. */
  add<K extends Operator>(
    op: K,
    inputs: readonly (Value | null)[],
    ...[attributes]: Given<K>
  ): Value {
    return this.addAll(op, inputs, (attributes ?? {}) as AttributesOf<K>, 1)[0]!;
  }

  /** The outputs of a node like the given one, on other inputs; an equal earlier node is shared. */
  append(
    { op, domain, attributes }: Operation,
    inputs: readonly (Value | null)[],
    outputs: readonly OutputSpec[],
  ): Value[] {
    const key = `${domain}:${op}|${inputs.map((v) => v?.id ?? "").join()}|${JSON.stringify(attributes)}|${outputs.length}`;
    const known = this.shared.get(key);
    if (known) return known.outputs;
    const node = { op, domain, inputs: [...inputs], attributes, outputs: [] as Value[] } as Node;
    for (const [index, spec] of outputs.entries())
      node.outputs.push(this.value(spec.dtype, spec.shape, node, index, null, false, null));
    this.nodes.push(node);
    this.shared.set(key, node);
    return node.outputs;
  }

  private once(key: string, make: () => Value): Value {
    let value = this.constants.get(key);
    if (!value) {
      value = make();
      this.constants.set(key, value);
    }
    return value;
  }

  private value(
    dtype: ElementType,
    shape: readonly number[],
    node: Node | null,
    index: number,
    constant: ConstantData | null,
    splat: boolean,
    name: string | null,
  ): Value {
    return { id: this.nextId++, dtype, shape: [...shape], node, index, constant, splat, name };
  }
}

/** Values that `outputs` need, with how often each is used; an output counts as one use. */
export function countUses(outputs: readonly Value[]): Map<Value, number> {
  const uses = new Map<Value, number>();
  const seen = new Set<Node>();
  const stack: Value[] = [];
  const use = (value: Value) => {
    uses.set(value, (uses.get(value) ?? 0) + 1);
    stack.push(value);
  };
  for (const output of outputs) use(output);
  for (let value = stack.pop(); value; value = stack.pop()) {
    const { node } = value;
    if (!node || seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) if (input) use(input);
  }
  return uses;
}

/** The nodes that `outputs` need, in order. */
export function liveNodes(graph: Graph, outputs: readonly Value[]): Node[] {
  const uses = countUses(outputs);
  return graph.nodes.filter((node) => node.outputs.some((output) => uses.has(output)));
}

function isUniform(data: ConstantData): boolean {
  const first = data[0];
  if (first === undefined || Object.is(first, -0)) return false;
  for (let i = 1; i < data.length; i++) if (!Object.is(data[i], first)) return false;
  return true;
}

/** Distinguishes -0, NaN and 64-bit integers, which `join()` would not. */
function bitsOf(data: ConstantData): string {
  if (data instanceof Float32Array)
    return new Uint32Array(data.buffer, data.byteOffset, data.length).join();
  return data.join();
}

import { KERNELS } from "../graph/build.ts";
import { elements } from "../graph/evaluate.ts";
import {
  type Attribute,
  type ConstantData,
  countUses,
  type Graph,
  liveNodes,
  type Node,
  onnxType,
  sizeOf,
  type Value,
} from "../graph/graph.ts";
import { OPSET, operatorOf } from "../graph/operators.ts";
import { ProtobufWriter } from "./protobuf.ts";

/** Uniform constants above this size are made by ConstantOfShape instead of being stored. */
const LARGE = 1024;

/** What {@link encodeModel} needs. */
export interface ModelSource {
  readonly graph: Graph;
  readonly outputs: readonly Value[];
  readonly outputNames: readonly string[];
  /** A name for a dimension, or null for its number. */
  readonly dimensionName?: (value: Value, axis: number) => string | null;
  readonly name?: string;
  /** The name of one more output, the first one: an empty sequence (see output-copies.ts). */
  readonly emptySequence?: string | undefined;
  /** Constants of at least so many bytes stay out of the file; see {@link EncodedModel.external}. */
  readonly externalFrom?: number;
}

/** A constant beside the file: the session is given the array itself. */
export interface ExternalData {
  readonly path: string;
  readonly data: Uint8Array;
}

/** An ONNX file and the names in it. */
export interface EncodedModel {
  readonly bytes: Uint8Array;
  readonly nodes: number;
  /** Constants that the file only refers to; views of the values, no copies. */
  readonly external: readonly ExternalData[];
}

/** Writes the live part of a graph as an ONNX model. */
export function encodeModel(source: ModelSource): EncodedModel {
  const nodes = liveNodes(source.graph, source.outputs);
  const uses = countUses(source.outputs);
  const names = new Names(source.graph.inputs, source.outputNames);
  const body = new ProtobufWriter();
  const initializers = new ProtobufWriter();
  const external: ExternalData[] = [];
  const { externalFrom = Number.POSITIVE_INFINITY } = source;
  const aliases = nameOutputs(source, names);

  const reference = (value: Value | null): string => {
    if (!value) return "";
    if (value.constant && !names.has(value)) {
      names.give(value, value.name ?? "constant");
      if (value.splat && sizeOf(value.shape) > LARGE) writeFill(body, value, names);
      else {
        const data = bytesOf(elements(value));
        const tensor = tensorProto(value, names.of(value));
        if (data.length < externalFrom) initializers.message(5, tensor.bytes(9, data));
        else {
          const path = `constant-${external.length}`;
          external.push({ path, data });
          initializers.message(5, referTo(tensor, path, data.length));
        }
      }
    }
    return names.of(value);
  };
  for (const node of nodes) writeNode(body, node, reference, names, uses);
  for (const [name, value] of aliases) {
    const identity = new ProtobufWriter()
      .string(1, reference(value))
      .string(2, name)
      .string(3, names.fresh("Identity"))
      .string(4, "Identity");
    body.message(1, identity);
  }
  if (source.emptySequence) writeEmptySequence(body, source.emptySequence, names);
  const graph = body.string(2, source.name ?? "function");
  const tail = new ProtobufWriter();
  if (source.emptySequence) tail.message(12, sequenceInfo(source.emptySequence));
  for (const input of source.graph.inputs)
    tail.message(11, valueInfo(names.of(input), input, source.dimensionName));
  source.outputs.forEach((output, i) => {
    tail.message(12, valueInfo(source.outputNames[i]!, output, source.dimensionName));
  });
  // ONNX Runtime knows the shapes of its own operators only; with these it can reuse the buffers of others.
  for (const { domain, outputs } of nodes)
    if (domain === KERNELS)
      for (const output of outputs)
        if (uses.has(output) && !source.outputs.includes(output))
          tail.message(13, valueInfo(names.of(output), output, undefined));
  const model = new ProtobufWriter()
    .integer(1, 9)
    .string(2, "@dmae/compile")
    .message(7, joined(graph, initializers, tail));
  const domains = new Map([
    ["", OPSET],
    ["com.microsoft", 1],
    ...nodes.flatMap(({ domain }): [string, number][] => (domain ? [[domain, 1]] : [])),
  ]);
  for (const [domain, version] of domains)
    model.message(8, new ProtobufWriter().string(1, domain).integer(2, version));
  return { bytes: model.finish(), nodes: nodes.length, external };
}

function joined(...writers: ProtobufWriter[]): ProtobufWriter {
  const all = new ProtobufWriter();
  for (const writer of writers) all.append(writer);
  return all;
}

/** Gives outputs their names; those that are inputs, constants or named already need an Identity. */
function nameOutputs(source: ModelSource, names: Names): [string, Value][] {
  const aliases: [string, Value][] = [];
  source.outputs.forEach((output, i) => {
    const name = source.outputNames[i]!;
    if (output.node && !names.has(output)) names.set(output, name);
    else aliases.push([name, output]);
  });
  return aliases;
}

function writeNode(
  body: ProtobufWriter,
  node: Node,
  reference: (value: Value | null) => string,
  names: Names,
  uses: Map<Value, number>,
): void {
  const inputs = node.inputs.map(reference);
  const scope = scopeOf(node, names);
  const name = names.fresh(scope ? `${scope}/${node.op}` : node.op);
  names.setScope(node, scope);
  const proto = new ProtobufWriter();
  for (const input of inputs) proto.string(1, input);
  // Operators that may leave out their last outputs compute less then; others (Split, TopK) must have all.
  const last = operatorOf(node)?.signature.endsWith("?")
    ? node.outputs.findLastIndex((output) => uses.has(output))
    : node.outputs.length - 1;
  node.outputs.slice(0, last + 1).forEach((output, i) => {
    if (!names.has(output)) names.give(output, last > 0 ? `${name}:${i}` : `${name}:y`);
    proto.string(2, names.of(output));
  });
  proto.string(3, name).string(4, node.op);
  for (const [key, attribute] of Object.entries(node.attributes))
    proto.message(5, attributeProto(key, attribute));
  if (node.domain) proto.string(7, node.domain);
  body.message(1, proto);
}

/**
 * A node that reads a parameter is called after it, `blocks.0.attn.qkv/Gemm`, and the nodes that work on
 * its result after it too.
 */
function scopeOf(node: Node, names: Names): string {
  const parameter = node.inputs.find((value) => value?.name && (value.constant || !value.node));
  const scope = parameter?.name?.replace(/\.(weight|bias)$/, "");
  if (scope && scope !== parameter?.name) return scope;
  const source = node.inputs.find((value) => value?.node);
  return source?.node ? names.scope(source.node) : "";
}

function writeFill(body: ProtobufWriter, value: Value, names: Names): void {
  const shape = names.fresh("shape");
  const dims = BigInt64Array.from(value.shape, BigInt);
  const shapeTensor = new ProtobufWriter()
    .integer(1, value.shape.length)
    .integer(2, 7)
    .bytes(9, bytesOf(dims));
  const fill = new ProtobufWriter()
    .integer(1, 1)
    .integer(2, onnxType(value.dtype))
    .bytes(9, bytesOf(value.constant!));
  const constant = (
    tensor: ProtobufWriter,
    key: string,
    op: string,
    inputs: string[],
    output: string,
  ) => {
    const proto = new ProtobufWriter();
    for (const input of inputs) proto.string(1, input);
    proto.string(2, output).string(3, names.fresh(op)).string(4, op);
    const attribute = new ProtobufWriter().string(1, key).message(5, tensor).integer(20, 4);
    body.message(1, proto.message(5, attribute));
  };
  constant(shapeTensor, "value", "Constant", [], shape);
  constant(fill, "value", "ConstantOfShape", [shape], names.of(value));
}

function writeEmptySequence(body: ProtobufWriter, output: string, names: Names): void {
  const node = new ProtobufWriter().string(2, output).string(3, names.fresh("SequenceEmpty"));
  body.message(1, node.string(4, "SequenceEmpty").message(5, attributeProto("dtype", 1)));
}

/** A graph output that is a sequence of float32 tensors. */
function sequenceInfo(name: string): ProtobufWriter {
  const element = new ProtobufWriter().message(1, new ProtobufWriter().integer(1, 1));
  const sequence = new ProtobufWriter().message(1, element);
  return new ProtobufWriter().string(1, name).message(2, new ProtobufWriter().message(4, sequence));
}

function attributeProto(name: string, attribute: Attribute): ProtobufWriter {
  const proto = new ProtobufWriter().string(1, name);
  if (typeof attribute === "number") return proto.integer(3, attribute).integer(20, 2);
  if (typeof attribute === "string") return proto.string(4, attribute).integer(20, 3);
  if ("float" in attribute) return proto.float(2, attribute.float).integer(20, 1);
  return proto.integers(8, attribute).integer(20, 7);
}

function tensorProto(value: Value, name: string): ProtobufWriter {
  const proto = new ProtobufWriter();
  for (const d of value.shape) proto.integer(1, d);
  return proto.integer(2, onnxType(value.dtype)).string(8, name);
}

/** The data of a tensor are in another place: all of `path`. */
function referTo(tensor: ProtobufWriter, path: string, length: number): ProtobufWriter {
  for (const [key, entry] of Object.entries({ location: path, offset: 0, length }))
    tensor.message(13, new ProtobufWriter().string(1, key).string(2, String(entry)));
  return tensor.integer(14, 1);
}

const bytesOf = (data: ConstantData) =>
  new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);

function valueInfo(
  name: string,
  value: Value,
  dimensionName: ModelSource["dimensionName"],
): ProtobufWriter {
  const shape = new ProtobufWriter();
  value.shape.forEach((d, axis) => {
    const symbol = dimensionName?.(value, axis);
    const dimension = symbol
      ? new ProtobufWriter().string(2, symbol)
      : new ProtobufWriter().integer(1, d);
    shape.message(1, dimension);
  });
  const tensor = new ProtobufWriter().integer(1, onnxType(value.dtype)).message(2, shape);
  return new ProtobufWriter().string(1, name).message(2, new ProtobufWriter().message(1, tensor));
}

/** Names of values, all different; those of inputs and outputs are the user's. */
class Names {
  private readonly byValue = new Map<Value, string>();
  private readonly taken = new Map<string, number>();
  private readonly scopes = new Map<Node, string>();

  constructor(inputs: readonly Value[], outputNames: readonly string[]) {
    for (const name of outputNames) this.taken.set(name, 1);
    for (const input of inputs) this.give(input, input.name!);
  }

  scope(node: Node): string {
    return this.scopes.get(node) ?? "";
  }

  setScope(node: Node, scope: string): void {
    this.scopes.set(node, scope);
  }

  has(value: Value): boolean {
    return this.byValue.has(value);
  }

  of(value: Value): string {
    return this.byValue.get(value)!;
  }

  set(value: Value, name: string): void {
    this.byValue.set(value, name);
  }

  give(value: Value, wanted: string): void {
    this.byValue.set(value, this.fresh(wanted));
  }

  fresh(wanted: string): string {
    let count = this.taken.get(wanted) ?? 0;
    let name = count === 0 ? wanted : `${wanted}_${count}`;
    while (count > 0 && this.taken.has(name)) name = `${wanted}_${++count}`;
    this.taken.set(wanted, count + 1);
    this.taken.set(name, this.taken.get(name) ?? 1);
    return name;
  }
}

import { COMPOSITE } from "../ops/composite.ts";
import { wholeStep } from "../ops/elementwise.ts";
import { beforeReshape, binary, cast, gemm, reduce, reshape, transpose, unary } from "./build.ts";
import { constantNumbers, uniformValue } from "./evaluate.ts";
import {
  countUses,
  float,
  Graph,
  liveNodes,
  type Node,
  type Operation,
  type OutputSpec,
  sameShape,
  sizeOf,
  type Value,
} from "./graph.ts";
import { lowerComposite } from "./lower.ts";
import { isWindow, keepWindow, lowerWindow } from "./windows.ts";

/** A graph with its outputs. */
export interface Program {
  readonly graph: Graph;
  readonly outputs: readonly Value[];
}

export type Rewrite = (
  context: RewriteContext,
  node: Node,
  inputs: (Value | null)[],
) => Value[] | null;

export interface RewriteContext {
  /** The graph being written. */
  readonly g: Graph;
  /** How often a value of the old graph is used. */
  uses(value: Value | null | undefined): number;
  /** Values of the old graph that a composite gradient reads first. */
  readonly differentiated: ReadonlySet<Value>;
  /** The new value for one of the old graph. */
  map(value: Value): Value;
  /** Lets later readers of `value` read `by` instead. */
  replace(value: Value, by: Value): void;
}

/** A node whose outputs are values of the old graph, or new ones that nothing there reads. */
type Copied = Operation &
  Pick<Node, "inputs"> & { readonly outputs: readonly (Value | OutputSpec)[] };

/** A graph that is written anew, value by value, from an old one. */
export class Copy {
  readonly graph: Graph;
  private readonly mapped = new Map<Value, Value>();

  constructor(old: Graph, mostTransposed = old.mostTransposed) {
    this.graph = new Graph(mostTransposed);
    for (const input of old.inputs)
      this.mapped.set(input, this.graph.input(input.name!, input.dtype, input.shape));
  }

  /** The new value for one of the old graph. */
  map(value: Value): Value {
    const known = this.mapped.get(value);
    if (known) return known;
    if (!value.constant) throw new Error(`value ${value.id} is used before it is made`);
    const { dtype, shape, constant } = value;
    const copy = value.splat
      ? this.graph.splat(dtype, shape, constant[0]!)
      : this.graph.constant(dtype, shape, constant, value.name);
    this.mapped.set(value, copy);
    return copy;
  }

  /** Lets later readers of the old `value` read `by`. */
  replace(value: Value, by: Value): void {
    this.mapped.set(value, by);
  }

  /** The same node on new inputs. */
  node(node: Copied, by = this.inputs(node.inputs)): void {
    const results = this.graph.append(node, by, node.outputs);
    results.forEach((result, i) => {
      this.mapped.set(node.outputs[i] as Value, result);
    });
  }

  inputs(inputs: readonly (Value | null)[]): (Value | null)[] {
    return inputs.map((value) => (value ? this.map(value) : null));
  }
}

/** Writes the live part of a program anew; `rewrite` may replace a node, null copies it. */
export function rebuild(
  { graph, outputs }: Program,
  rewrite: Rewrite,
  mostTransposed = graph.mostTransposed,
): Program {
  const uses = countUses(outputs);
  const copy = new Copy(graph, mostTransposed);
  const nodes = liveNodes(graph, outputs);
  const gradients = nodes.filter((n) => n.domain === COMPOSITE && n.op.endsWith("Grad"));
  const context: RewriteContext = {
    g: copy.graph,
    differentiated: new Set(gradients.map((n) => n.inputs[0]!)),
    uses: (value) => (value ? (uses.get(value) ?? 0) : 0),
    map: (value) => copy.map(value),
    replace: (value, by) => copy.replace(value, by),
  };
  for (const node of nodes) {
    const inputs = copy.inputs(node.inputs);
    const results = rewrite(context, node, inputs);
    if (!results) copy.node(node, inputs);
    else
      results.forEach((result, i) => {
        copy.replace(node.outputs[i]!, result);
      });
  }
  return { graph: copy.graph, outputs: outputs.map((value) => copy.map(value)) };
}

/** Whether a node is attention in training: its probabilities are read by its gradient, or it is that. */
const isTrainedAttention = (context: RewriteContext, { op, outputs }: Node) =>
  op === "AttentionGrad" || (op === "Attention" && context.uses(outputs[1]) > 0);

/** Composite operations of one input that a gradient reads too keep their parts. */
const lower =
  (forKernels: OptimizeOptions["forKernels"]): Rewrite =>
  (context, node, inputs) => {
    if (node.domain !== COMPOSITE) return null;
    const onCpu = forKernels === "cpu";
    if (isWindow(node))
      return [(onCpu ? keepWindow : lowerWindow)(context.g, node, inputs as Value[])];
    if (forKernels && node.op === "Step") return null;
    if (onCpu && isTrainedAttention(context, node)) return null;
    return lowerComposite(context.g, node, inputs as Value[], {
      used: (i) => context.uses(node.outputs[i]) > 0,
      inParts: forKernels === "card" || context.differentiated.has(node.inputs[0]!),
    });
  };

/** Repeats what the builder does (neutral elements, reshapes, transposes) after other rewrites. */
const simplify: Rewrite = ({ g }, node, inputs) => {
  const [a, b] = inputs as Value[];
  switch (node.op) {
    case "Step":
      return [wholeStep(g, a!)];
    case "Add":
    case "Sub":
    case "Mul":
    case "Div":
      return [binary(g, node.op, a!, b!)];
    case "Relu":
    case "Neg":
    case "Sqrt":
    case "Reciprocal":
      return [unary(g, node.op, a!)];
    case "ReduceSum":
      return node.attributes.keepdims === 1 ? null : sumOfMatrix(g, node, a!);
    case "Reshape":
      return [reshape(g, a!, node.outputs[0]!.shape)];
    case "Transpose":
      return [transpose(g, a!, node.attributes.perm)];
    case "Cast":
      return [cast(g, a!, node.outputs[0]!.dtype)];
    default:
      return null;
  }
};

/** A sum over all axes but the last of what is a matrix in another shape, as one over its rows. */
function sumOfMatrix(g: Graph, node: Node, x: Value): Value[] | null {
  const matrix = beforeReshape(x);
  const axes = constantNumbers(node.inputs[1]!);
  const overRows = axes?.length === x.shape.length - 1 && axes.every((axis, i) => axis === i);
  const isSame = matrix?.shape.length === 2 && matrix.shape[1] === x.shape.at(-1);
  if (!overRows || !isSame) return null;
  return [reduce(g, "ReduceSum", matrix, [0])];
}

type Product = Extract<Node, { op: "Gemm" | "FusedMatMul" }>;

const isProduct = (node: Node | null): node is Product =>
  node?.op === "Gemm" || node?.op === "FusedMatMul";

/** Moves a constant factor, a bias or a sum into the matrix product that feeds it. */
const fuseProducts: Rewrite = (context, node, inputs) => {
  if (node.domain !== "" || node.inputs.length !== 2) return null;
  for (const side of [0, 1]) {
    const source = node.inputs[side]!;
    const product = context.map(source).node;
    const other = inputs[1 - side]!;
    if (context.uses(source) !== 1 || !isProduct(product)) continue;
    const fused =
      node.op === "Mul"
        ? scaleProduct(context.g, product, uniformValue(other))
        : node.op === "Div" && side === 0
          ? scaleProduct(context.g, product, inverse(uniformValue(other)))
          : node.op === "Add"
            ? addToProduct(context.g, product, other)
            : null;
    if (fused) return [fused];
  }
  return null;
};

const inverse = (x: number | null) => (x === null || x === 0 ? null : 1 / x);

/** Factors beyond this, or below its inverse, stay where they are: moved, they may leave the range of float32. */
const LARGE_FACTOR = 1e6;

const isMovable = (factor: number) =>
  Math.abs(factor) <= LARGE_FACTOR && Math.abs(factor) >= 1 / LARGE_FACTOR;

function scaleProduct(g: Graph, node: Product, factor: number | null): Value | null {
  if (factor === null || !isMovable(factor)) return null;
  const alpha = float(node.attributes.alpha.float * factor);
  const beta = node.op === "Gemm" ? { beta: float(node.attributes.beta.float * factor) } : {};
  const attributes = { ...node.attributes, alpha, ...beta };
  return g.append({ ...node, attributes } as Product, node.inputs, node.outputs)[0]!;
}

function addToProduct(g: Graph, node: Product, term: Value): Value | null {
  const product = node.outputs[0]!;
  if (node.op !== "Gemm" || node.inputs.length > 2 || product.dtype !== "float32") return null;
  if (term.shape.length > 2 || term.shape.length === 0) return null;
  const [rows, columns] = product.shape as [number, number];
  const [m, n] = term.shape.length === 1 ? [1, term.shape[0]!] : (term.shape as [number, number]);
  if ((m !== 1 && m !== rows) || n !== columns) return null;
  const { transA, transB, alpha } = node.attributes;
  const [a, b] = node.inputs;
  return gemm(g, a!, b!, transA === 1, transB === 1, term, alpha.float);
}

/** Takes constant factors of a matrix product's sides into its alpha. */
const fuseFactors: Rewrite = ({ g }, node, inputs) => {
  if (!isProduct(node)) return null;
  let alpha = node.attributes.alpha.float;
  const sides = inputs.slice(0, 2).map((side) => {
    const [source, factor] = factorOf(side!);
    alpha *= factor;
    return source;
  });
  if (sides.every((side, i) => side === inputs[i])) return null;
  const attributes = { ...node.attributes, alpha: float(alpha) };
  const scaled = { ...node, attributes } as Product;
  return g.append(scaled, [...sides, ...inputs.slice(2)], node.outputs);
};

function factorOf(value: Value): [Value, number] {
  if (value.node?.op !== "Mul") return [value, 1];
  for (const side of [0, 1]) {
    const factor = uniformValue(value.node.inputs[side]!);
    const source = value.node.inputs[1 - side]!;
    if (factor !== null && isMovable(factor) && source.shape.length === value.shape.length)
      return [source, factor];
  }
  return [value, 1];
}

/** `LayerNormalization(Add(x, y))` of matrices as one operator that returns the sum as well. */
const fuseSkipNorm: Rewrite = (context, node, inputs) => {
  if (node.op !== "LayerNormalization" || node.outputs.slice(1).some((v) => context.uses(v) > 0))
    return null;
  const [sum, gain, bias] = inputs as [Value, Value, Value];
  const add = sum.node;
  if (add?.op !== "Add" || sum.shape.length !== 2) return null;
  const [x, y] = add.inputs as [Value, Value];
  if (!sameShape(x.shape, sum.shape) || !sameShape(y.shape, sum.shape)) return null;
  const { epsilon } = node.attributes;
  const op = "com.microsoft:SkipLayerNormalization";
  const outputs = context.g.addAll(op, [x, y, gain, bias], { epsilon });
  // Readers of the sum that come later take it from here.
  context.replace(node.inputs[0]!, outputs[3]!);
  return outputs.slice(0, node.outputs.length);
};

/** How {@link optimize} treats what it may fuse. */
export interface OptimizeOptions {
  /**
   * Joins sums and layer normalisations: one pass on a GPU; ONNX Runtime's CPU kernel takes four times as
   * long as the two operators.
   */
  readonly skipNorms?: boolean | undefined;
  /** Transposes sides of batched products by operators of their own: some providers lack FusedMatMul. */
  readonly plainProducts?: boolean | undefined;
  /**
   * Leaves whole what kernels of our own compute: steps (of a ReLU's gradient), and on a CPU attention in training, convolutions and
   * max pooling.
   */
  readonly forKernels?: "cpu" | "card" | undefined;
  /** Transposes constants of any size here, for readers of the graph that do not. */
  readonly transposeAll?: boolean | undefined;
}

/** `FusedMatMul` in operators that every provider has. */
const unfuseProducts: Rewrite = ({ g }, node, inputs) => {
  if (node.op !== "FusedMatMul") return null;
  const { transA, transB, alpha } = node.attributes;
  const side = (value: Value, transposed: boolean) => {
    const { length } = value.shape;
    const order = value.shape.map((_, i) => (i < length - 2 ? i : 2 * length - 3 - i));
    return transposed ? transpose(g, value, order) : value;
  };
  const sides = [side(inputs[0]!, transA === 1), side(inputs[1]!, transB === 1)];
  const product = g.add("MatMul", sides);
  return [binary(g, "Mul", product, g.scalar("float32", alpha.float))];
};

/** Tensors of fewer elements stay as they are. */
const WIDEN_FROM = 4096;

/** Last axes from this length on are long enough. */
const LONG_AXIS = 16;

/**
 * Joins a short last axis with the one before it where a constant for each channel is taken off or multiplied: ONNX Runtime works
 * by runs along the last axis, and 10 ns for each pixel of one channel or 4 of three become less than one.
 */
const widenChannels: Rewrite = ({ g }, node, inputs) => {
  if (node.op === "Reshape") return [reshape(g, inputs[0]!, node.outputs[0]!.shape)];
  if (!["Add", "Sub", "Mul", "Div"].includes(node.op) || node.domain !== "") return null;
  const { dtype, shape } = node.outputs[0]!;
  const [width = 0, channels = 0] = shape.slice(-2);
  const [x, constant] = inputs as [Value, Value];
  const isShort = shape.length > 2 && channels < LONG_AXIS && sizeOf(shape) >= WIDEN_FROM;
  const fill = uniformValue(constant);
  const isVector = constant.shape.length === 1 && constant.shape[0] === channels;
  const numbers = isVector || fill !== null ? constantNumbers(constant) : null;
  if (!isShort || dtype !== "float32" || !sameShape(x.shape, shape) || !numbers) return null;
  if (fill !== null && channels > 1) return null; // one number is read once, but where the last axis is 1
  const rows = reshape(g, x, [...shape.slice(0, -2), width * channels]);
  const repeated = Float32Array.from(
    { length: width * channels },
    (_, i) => numbers[i % channels]!,
  );
  const other = fill === null ? g.constant("float32", [width * channels], repeated) : constant;
  return [reshape(g, g.add(node.op as "Add", [rows, other]), shape)];
};

/** Lowers and cleans a traced program. */
export function optimize(program: Program, options: OptimizeOptions = {}): Program {
  const { skipNorms, plainProducts, forKernels, transposeAll } = options;
  const mostTransposed = transposeAll ? Number.POSITIVE_INFINITY : program.graph.mostTransposed;
  const passes: Rewrite[] = [
    simplify,
    lower(forKernels),
    simplify,
    fuseFactors,
    fuseProducts,
    simplify,
    ...(skipNorms ? [fuseSkipNorm] : []),
    ...(plainProducts ? [unfuseProducts] : []),
    widenChannels,
  ];
  return passes.reduce((p, pass) => rebuild(p, pass, mostTransposed), program);
}

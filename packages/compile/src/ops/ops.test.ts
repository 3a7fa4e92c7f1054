import "@tensorflow/tfjs-backend-cpu";
import type { DType, HostTensor } from "@dmae/core";
import "@dmae/nn"; // registers the gradients
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, it } from "vitest";
import { type Case, type Draw, draws, expectSame } from "../testing/sweep.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const SEEDS = [1, 2, 3];

/** Every case is drawn three times: other shapes, other values. */
function sweep(cases: Record<string, (d: Draw) => Case>, tolerance?: number): void {
  for (const [name, make] of Object.entries(cases))
    it(name, async () => {
      for (const seed of SEEDS) await expectSame(make(draws(seed, name)), tolerance);
    });
}

const unary =
  (fn: (x: tf.Tensor) => tf.Tensor, low = -2, high = 2) =>
  (d: Draw): Case => ({
    inputs: { x: d.floats(d.shape(d.integer(0, 4)), low, high) },
    fn: ({ x }) => fn(x!),
  });

const unaryInt =
  (fn: (x: tf.Tensor) => tf.Tensor) =>
  (d: Draw): Case => ({
    inputs: { x: d.integers(d.shape(d.integer(0, 3))) },
    fn: ({ x }) => fn(x!),
  });

/** Two operands, one of them broadcast. */
const binary =
  (
    fn: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
    values: (d: Draw, shape: number[]) => HostTensor = (d, shape) => d.floats(shape),
    second = values,
  ) =>
  (d: Draw): Case => {
    const shape = d.shape(d.integer(1, 4));
    const narrow = shape.slice(d.integer(0, shape.length)).map((n) => d.pick([n, 1]));
    const swap = d.pick([true, false]);
    return {
      inputs: { a: values(d, swap ? narrow : shape), b: second(d, swap ? shape : narrow) },
      fn: ({ a, b }) => fn(a!, b!),
    };
  };

const ints = (d: Draw, shape: number[]) => d.integers(shape);
const nonZeroInts = (d: Draw, shape: number[]) => {
  const value = d.integers(shape);
  return { ...value, data: (value.data as Int32Array).map((v) => v || 3) };
};
const positive = (d: Draw, shape: number[]) => d.floats(shape, 0.2, 3);
const bools = (d: Draw, shape: number[]) => d.bools(shape);

describe("elementwise", () => {
  sweep({
    abs: unary(tf.abs),
    neg: unary(tf.neg),
    sign: unary(tf.sign),
    exp: unary(tf.exp),
    expm1: unary(tf.expm1),
    "expm1 near 0": unary(tf.expm1, -1e-3, 1e-3),
    log: unary(tf.log, 0.1, 4),
    log1p: unary(tf.log1p, -0.5, 3),
    "log1p near 0": unary(tf.log1p, -1e-3, 1e-3),
    sqrt: unary(tf.sqrt, 0, 4),
    rsqrt: unary(tf.rsqrt, 0.1, 4),
    reciprocal: unary(tf.reciprocal, 0.1, 4),
    square: unary(tf.square),
    floor: unary(tf.floor),
    ceil: unary(tf.ceil),
    round: unary(tf.round),
    sin: unary(tf.sin),
    cos: unary(tf.cos),
    tan: unary(tf.tan, -1, 1),
    asin: unary(tf.asin, -0.9, 0.9),
    acos: unary(tf.acos, -0.9, 0.9),
    atan: unary(tf.atan),
    sinh: unary(tf.sinh),
    cosh: unary(tf.cosh),
    tanh: unary(tf.tanh),
    asinh: unary(tf.asinh),
    acosh: unary(tf.acosh, 1.1, 4),
    atanh: unary(tf.atanh, -0.8, 0.8),
    sigmoid: unary(tf.sigmoid),
    softplus: unary(tf.softplus),
    logSigmoid: unary(tf.logSigmoid),
    relu: unary(tf.relu),
    relu6: unary(tf.relu6, -3, 9),
    leakyRelu: unary((x) => tf.leakyRelu(x, 0.3)),
    elu: unary(tf.elu),
    selu: unary(tf.selu),
    step: unary((x) => tf.step(x, 0.25)),
    clipByValue: unary((x) => tf.clipByValue(x, -0.5, 0.75)),
    isNaN: unary((x) => tf.isNaN(tf.log(x))),
    isInf: unary((x) => tf.isInf(tf.div(1, tf.relu(x)))),
    isFinite: unary((x) => tf.isFinite(tf.log(x))),
    zerosLike: unary((x) => tf.add(tf.zerosLike(x), x)),
    onesLike: unary((x) => tf.sub(tf.onesLike(x), x)),
    prelu: (d) => ({
      inputs: { x: d.floats([2, 3]), alpha: d.floats([3]) },
      fn: ({ x, alpha }) => tf.prelu(x!, alpha!),
    }),
    "integers: abs neg sign relu": unaryInt((x) =>
      tf.add(tf.abs(x), tf.add(tf.neg(x), tf.add(tf.sign(x), tf.relu(x)))),
    ),
    "integers: square and clip": unaryInt((x) => tf.clipByValue(tf.square(x), 2, 30)),
    "integers: exp": unaryInt(tf.exp),
    add: binary(tf.add),
    sub: binary(tf.sub),
    mul: binary(tf.mul),
    div: binary(tf.div, positive),
    divNoNan: binary(tf.divNoNan, (d, shape) => d.integers(shape, -1, 1)),
    pow: binary(tf.pow, positive),
    maximum: binary(tf.maximum),
    minimum: binary(tf.minimum),
    mod: binary(tf.mod, (d, s) => d.floats(s), positive),
    floorDiv: binary(tf.floorDiv, (d, s) => d.floats(s), positive),
    squaredDifference: binary(tf.squaredDifference),
    atan2: binary(tf.atan2),
    "atan2 on the axes": binary(tf.atan2, (d, s) => ({
      ...d.floats(s),
      data: Float32Array.from(d.integers(s, -1, 1).data),
    })),
    "integers: add": binary(tf.add, ints),
    "integers: sub": binary(tf.sub, ints),
    "integers: mul": binary(tf.mul, ints),
    "integers: maximum": binary(tf.maximum, ints),
    "integers: minimum": binary(tf.minimum, ints),
    "integers: floorDiv": binary(tf.floorDiv, ints, nonZeroInts),
    "integers: mod": binary(tf.mod, ints, nonZeroInts),
    "integers: squaredDifference": binary(tf.squaredDifference, ints),
    "integers: pow": binary(tf.pow, (d, s) => d.integers(s, 0, 4)),
    "integer and float": binary(tf.mul, ints, (d, s) => d.floats(s)),
    "bool and float": binary(tf.mul, bools, (d, s) => d.floats(s)),
    addN: (d) => {
      const shape = d.shape(3);
      const inputs = { a: d.floats(shape), b: d.floats(shape), c: d.floats(shape) };
      return { inputs, fn: ({ a, b, c }) => tf.addN([a!, b!, c!]) };
    },
  });
});

describe("comparison and selection", () => {
  const everyDtype = (fn: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor) => (d: Draw) => {
    const values = (draw: Draw, shape: number[]) =>
      draw.pick([true, false]) ? draw.integers(shape, 0, 2) : draw.floats(shape);
    return binary(fn, values)(d);
  };
  sweep({
    equal: everyDtype(tf.equal),
    notEqual: everyDtype(tf.notEqual),
    greater: everyDtype(tf.greater),
    greaterEqual: everyDtype(tf.greaterEqual),
    less: everyDtype(tf.less),
    lessEqual: everyDtype(tf.lessEqual),
    "equal bools": binary(tf.equal, bools),
    logicalAnd: binary(tf.logicalAnd, bools),
    logicalOr: binary(tf.logicalOr, bools),
    logicalXor: binary(tf.logicalXor, bools),
    logicalNot: (d) => ({
      inputs: { x: d.bools(d.shape(3)) },
      fn: ({ x }) => tf.logicalNot(x! as tf.Tensor),
    }),
    where: (d) => {
      const shape = d.shape(3);
      const dtype = d.pick<DType>(["float32", "int32"]);
      const inputs = { c: d.bools(shape), a: d.values(dtype, shape), b: d.values(dtype, shape) };
      return { inputs, fn: ({ c, a, b }) => tf.where(c!, a!, b!) };
    },
    "where broadcast": (d) => ({
      inputs: { c: d.bools([4, 1]), a: d.floats([4, 3]), b: d.floats([3]) },
      fn: ({ c, a, b }) => tf.where(c!, a!, b!),
    }),
    cast: (d) => ({
      inputs: { f: d.floats([5], -3, 3), i: d.integers([5]), b: d.bools([5]) },
      fn: ({ f, i, b }) => [
        tf.cast(f!, "int32"),
        tf.cast(f!, "bool"),
        tf.cast(i!, "float32"),
        tf.cast(i!, "bool"),
        tf.cast(b!, "float32"),
        tf.cast(b!, "int32"),
      ],
    }),
  });
});

describe("movement", () => {
  const anyDtype = (d: Draw, shape: number[]) =>
    d.values(d.pick<DType>(["float32", "int32", "bool"]), shape);
  sweep({
    reshape: (d) => {
      const shape = d.shape(3);
      return { inputs: { x: anyDtype(d, shape) }, fn: ({ x }) => tf.reshape(x!, [-1, shape[2]!]) };
    },
    "expandDims and squeeze": (d) => ({
      inputs: { x: anyDtype(d, [1, ...d.shape(2)]) },
      fn: ({ x }) => tf.expandDims(tf.squeeze(x!, [0]), -1),
    }),
    transpose: (d) => {
      const rank = d.integer(2, 5);
      const order = Array.from({ length: rank }, (_, i) => i);
      for (let i = rank - 1; i > 0; i--) {
        const j = d.integer(0, i);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return { inputs: { x: anyDtype(d, d.shape(rank)) }, fn: ({ x }) => tf.transpose(x!, order) };
    },
    "two transposes": (d) => ({
      inputs: { x: d.floats(d.shape(3)) },
      fn: ({ x }) => tf.transpose(tf.transpose(x!, [2, 0, 1]), [0, 2, 1]),
    }),
    concat: (d) => {
      const rank = d.integer(1, 4);
      const axis = d.integer(0, rank - 1);
      const shape = d.shape(rank);
      const dtype = d.pick<DType>(["float32", "int32", "bool"]);
      const part = () =>
        d.values(
          dtype,
          shape.map((n, i) => (i === axis ? d.integer(1, 3) : n)),
        );
      return {
        inputs: { a: part(), b: part(), c: part() },
        fn: ({ a, b, c }) => tf.concat([a!, b!, c!], axis),
      };
    },
    stack: (d) => {
      const shape = d.shape(2);
      const axis = d.integer(0, 2);
      const inputs = { a: d.floats(shape), b: d.floats(shape) };
      return { inputs, fn: ({ a, b }) => tf.stack([a!, b!], axis) };
    },
    unstack: (d) => ({
      inputs: { x: anyDtype(d, [3, 2, 4]) },
      fn: ({ x }) => tf.unstack(x!, d.integer(0, 0)),
    }),
    split: (d) => ({
      inputs: { x: anyDtype(d, [2, 6]) },
      fn: ({ x }) => [...tf.split(x!, 3, 1), ...tf.split(x!, [1, 2, 3], 1)],
    }),
    slice: (d) => {
      const shape = d.shape(d.integer(1, 4));
      const begin = shape.map((n) => d.integer(0, n - 1));
      const size = shape.map((n, i) => d.integer(1, n - begin[i]!));
      return { inputs: { x: anyDtype(d, shape) }, fn: ({ x }) => tf.slice(x!, begin, size) };
    },
    stridedSlice: (d) => ({
      inputs: { x: d.floats([5, 6, 3]) },
      fn: ({ x }) => tf.stridedSlice(x!, [4, 1, 0], [0, 6, 1], [-2, 2, 1]),
    }),
    pad: (d) => {
      const shape = d.shape(d.integer(1, 4));
      const paddings = shape.map((): [number, number] => [d.integer(0, 2), d.integer(0, 2)]);
      return { inputs: { x: d.floats(shape) }, fn: ({ x }) => tf.pad(x!, paddings, 0.5) };
    },
    "pad integers": (d) => ({
      inputs: { x: d.integers([2, 3]) },
      fn: ({ x }) =>
        tf.pad(
          x!,
          [
            [1, 0],
            [0, 2],
          ],
          3,
        ),
    }),
    mirrorPad: (d) => {
      const mode = d.pick(["reflect", "symmetric"] as const);
      return {
        inputs: { x: d.floats([4, 5]) },
        fn: ({ x }) =>
          tf.mirrorPad(
            x!,
            [
              [1, 2],
              [2, 1],
            ],
            mode,
          ),
      };
    },
    tile: (d) => {
      const shape = d.shape(d.integer(1, 4));
      const reps = shape.map(() => d.integer(1, 3));
      return { inputs: { x: anyDtype(d, shape) }, fn: ({ x }) => tf.tile(x!, reps) };
    },
    broadcastTo: (d) => ({
      inputs: { x: anyDtype(d, [3, 1]) },
      fn: ({ x }) => tf.broadcastTo(x!, [2, 3, 4]),
    }),
    reverse: (d) => {
      const shape = d.shape(3);
      const axes = d.pick([[0], [1, 2], [0, 1, 2]]);
      return { inputs: { x: anyDtype(d, shape) }, fn: ({ x }) => tf.reverse(x!, axes) };
    },
    gather: (d) => {
      const shape = d.shape(3);
      const axis = d.integer(0, 2);
      const indices = d.integers(d.shape(d.integer(1, 2)), 0, shape[axis]! - 1);
      return {
        inputs: { x: anyDtype(d, shape), indices },
        fn: ({ x, indices }) => tf.gather(x!, indices as tf.Tensor1D, axis),
      };
    },
    "gather with batchDims": (d) => {
      const shape = [3, ...d.shape(3)];
      const axis = d.integer(1, 3);
      const indices = d.integers([3, 4], 0, shape[axis]! - 1);
      return {
        inputs: { x: d.floats(shape), indices },
        fn: ({ x, indices }) => tf.gather(x!, indices as tf.Tensor2D, axis, 1),
      };
    },
    gatherND: (d) => ({
      inputs: { x: d.floats([3, 4, 2]), indices: d.integers([5, 2], 0, 2) },
      fn: ({ x, indices }) => tf.gatherND(x!, indices!),
    }),
    scatterND: (d) => ({
      inputs: { indices: d.integers([5, 1], 0, 3), updates: d.floats([5, 2]) },
      fn: ({ indices, updates }) => tf.scatterND(indices as tf.Tensor2D, updates!, [4, 2]),
    }),
    tensorScatterUpdate: (d) => ({
      inputs: { x: d.floats([4, 2]), updates: d.floats([2, 2]) },
      fn: ({ x, updates }) =>
        tf.tensorScatterUpdate(x!, tf.tensor2d([[3], [1]], [2, 1], "int32"), updates!),
    }),
    unsortedSegmentSum: (d) => ({
      inputs: { x: d.floats([6, 2]), ids: d.integers([6], 0, 3) },
      fn: ({ x, ids }) => tf.unsortedSegmentSum(x!, ids as tf.Tensor1D, 4),
    }),
    oneHot: (d) => ({
      inputs: { x: d.integers(d.shape(d.integer(1, 2)), -1, 5) },
      fn: ({ x }) => [tf.oneHot(x!, 5), tf.oneHot(x!, 4, 0.9, 0.1, "float32")],
    }),
    "space and batch": (d) => ({
      inputs: { x: d.floats([2, 4, 6, 3]) },
      fn: ({ x }) => {
        const apart = tf.spaceToBatchND(
          x!,
          [2, 3],
          [
            [0, 0],
            [1, 2],
          ],
        );
        return [
          apart,
          tf.batchToSpaceND(
            apart,
            [2, 3],
            [
              [0, 0],
              [1, 2],
            ],
          ),
        ];
      },
    }),
    "fill, range, linspace, eye, diag": (d) => ({
      inputs: { x: d.floats([4]) },
      fn: ({ x }) => [
        tf.add(tf.fill([3, 4], 2.5), x!),
        tf.mul(tf.range(0, 4, 1), x!),
        tf.add(tf.linspace(0, 1, 4), x!),
        tf.matMul(tf.eye(4), tf.reshape(x!, [4, 1])),
        tf.diag(x!),
      ],
    }),
  });
});

describe("contraction", () => {
  sweep({
    matMul: (d) => {
      const [m, k, n] = [d.integer(1, 9), d.integer(1, 9), d.integer(1, 9)];
      const [ta, tb] = [d.pick([true, false]), d.pick([true, false])];
      const batch = d.shape(d.integer(0, 2));
      const inputs = {
        a: d.floats([...batch, ...(ta ? [k, m] : [m, k])]),
        b: d.floats([...batch, ...(tb ? [n, k] : [k, n])]),
      };
      return { inputs, fn: ({ a, b }) => tf.matMul(a!, b!, ta, tb) };
    },
    "matMul of transposed sides": (d) => ({
      inputs: { a: d.floats([2, 4, 3]), b: d.floats([2, 5, 4]) },
      fn: ({ a, b }) => tf.matMul(tf.transpose(a!, [0, 2, 1]), tf.transpose(b!, [0, 2, 1])),
    }),
    "matMul, batch against matrix": (d) => ({
      inputs: { a: d.floats([2, 4, 3]), b: d.floats([3, 5]) },
      fn: ({ a, b }) => [tf.matMul(a!, b!), tf.matMul(b!, a!, true, true)],
    }),
    "scaled products": (d) => ({
      inputs: { a: d.floats([4, 3]), b: d.floats([3, 5]), c: d.floats([5]) },
      fn: ({ a, b, c }) => tf.mul(tf.add(tf.matMul(tf.mul(a!, 3), b!), c!), 0.25),
    }),
    dot: (d) => ({
      inputs: { a: d.floats([4]), b: d.floats([4, 3]) },
      fn: ({ a, b }) => tf.dot(a!, b!),
    }),
    einsum: (d) => ({
      inputs: { a: d.floats([2, 3, 4]), b: d.floats([2, 4, 5]) },
      fn: ({ a, b }) => tf.einsum("bij,bjk->bik", a!, b!),
    }),
    ...Object.fromEntries(
      (["sum", "mean", "max", "min", "prod"] as const).flatMap((name) =>
        (["float32", "int32"] as const).map((dtype) => [
          `${name} ${dtype}`,
          (d: Draw): Case => {
            const rank = d.integer(1, 4);
            const axes = Array.from({ length: rank }, (_, i) => i).filter(() =>
              d.pick([true, false]),
            );
            const keep = d.pick([true, false]);
            const shape = d.shape(rank);
            const x = dtype === "float32" ? d.floats(shape) : d.integers(shape, -2, 2);
            const some = axes.length > 0 ? axes : undefined;
            return { inputs: { x }, fn: ({ x }) => tf[name](x!, some, keep) };
          },
        ]),
      ),
    ),
    ...Object.fromEntries(
      Object.entries({
        first: [0],
        "first two": [0, 1],
        "outer two": [0, 2],
        "last two": [1, 2],
      }).map(([name, axes]) => [
        `reductions over the ${name} axes`,
        (d: Draw): Case => {
          const keep = d.pick([true, false]);
          return {
            inputs: { x: d.floats(d.shape(3)) },
            fn: ({ x }) =>
              [tf.logSumExp, tf.sum, tf.mean, tf.max, tf.min, tf.prod].map((reduce) =>
                reduce(x!, axes, keep),
              ),
          };
        },
      ]),
    ),
    "logSumExp of a vector, beside one": (d) => ({
      inputs: { x: d.floats([5]), y: d.floats([3, 4]), b: d.floats([4]) },
      fn: ({ x, y, b }) => [
        tf.logSumExp(x!),
        tf.sub(y!, tf.logSumExp(y!, 0)),
        tf.add(tf.logSumExp(y!, 0), b!),
      ],
    }),
    "all and any": (d) => ({
      inputs: { x: d.bools([3, 4]) },
      fn: ({ x }) => [tf.all(x!, 1), tf.any(x!, 0), tf.any(x!)],
    }),
    "argMax and argMin": (d) => {
      const axis = d.integer(0, 2);
      return {
        inputs: { x: d.floats(d.shape(3)) },
        fn: ({ x }) => [tf.argMax(x!, axis), tf.argMin(x!, axis)],
      };
    },
    "softmax and logSoftmax": (d) => ({
      inputs: { x: d.floats(d.shape(3)) },
      fn: ({ x }) => [tf.softmax(x!), tf.logSoftmax(x!), tf.logSumExp(x!, 1)],
    }),
    cumsum: (d) => {
      const axis = d.integer(0, 2);
      const [exclusive, reverse] = [d.pick([true, false]), d.pick([true, false])];
      return {
        inputs: { x: d.floats(d.shape(3)), i: d.integers([4]) },
        fn: ({ x, i }) => [tf.cumsum(x!, axis, exclusive, reverse), tf.cumsum(i!)],
      };
    },
    cumprod: (d) => {
      const [exclusive, reverse] = [d.pick([true, false]), d.pick([true, false])];
      return {
        inputs: { x: d.floats([2, 4]) },
        fn: ({ x }) => tf.cumprod(x!, 1, exclusive, reverse),
      };
    },
    topk: (d) => ({
      inputs: { x: d.floats([3, 6]) },
      fn: ({ x }) => {
        const { values, indices } = tf.topk(x!, 3);
        return [values, indices];
      },
    }),
    denseBincount: (d) => ({
      inputs: { x: d.integers([2, 7], 0, 4), w: d.floats([2, 7]) },
      fn: ({ x, w }) => [
        tf.denseBincount(x as tf.Tensor2D, w as tf.Tensor2D, 5),
        tf.denseBincount(x as tf.Tensor2D, tf.tensor2d([], [0, 0]), 5, true),
      ],
    }),
    moments: (d) => ({
      inputs: { x: d.floats([4, 5]) },
      fn: ({ x }) => {
        const { mean, variance } = tf.moments(x!, 1);
        return [mean, variance];
      },
    }),
    batchNorm: (d) => ({
      inputs: {
        x: d.floats([2, 3, 3, 4]),
        m: d.floats([4]),
        v: d.floats([4], 0.3, 2),
        s: d.floats([4]),
      },
      fn: ({ x, m, v, s }) =>
        tf.batchNorm(
          x! as tf.Tensor4D,
          m as tf.Tensor1D,
          v as tf.Tensor1D,
          m as tf.Tensor1D,
          s as tf.Tensor1D,
        ),
    }),
    "fused.matMul": (d) => {
      const activation = d.pick(["relu", "elu", "sigmoid", "relu6"] as const);
      return {
        inputs: { a: d.floats([3, 4]), b: d.floats([5, 4]), bias: d.floats([5]) },
        fn: ({ a, b, bias }) =>
          tf.fused.matMul({ a: a!, b: b!, transposeB: true, bias: bias!, activation }),
      };
    },
  });
});

const conv = (d: Draw) => {
  const pad = d.pick(["same", "valid"] as const);
  const strides = d.pick<[number, number]>([
    [1, 1],
    [2, 2],
    [2, 1],
  ]);
  return { pad, strides, dilations: strides[0] === 1 ? d.pick([1, 2]) : 1 };
};

describe("convolution and images", () => {
  sweep({
    conv2d: (d) => {
      const { pad, strides, dilations } = conv(d);
      return {
        inputs: {
          x: d.floats([2, d.integer(6, 9), d.integer(6, 9), 3]),
          f: d.floats([3, 2, 3, 4]),
        },
        fn: ({ x, f }) =>
          tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, strides, pad, "NHWC", dilations),
      };
    },
    "conv2d, explicit padding, NCHW weights of one pixel": (d) => ({
      inputs: { x: d.floats([1, 5, 6, 2]), f: d.floats([3, 3, 2, 3]), one: d.floats([1, 1, 3, 2]) },
      fn: ({ x, f, one }) => {
        const y = tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, [
          [0, 0],
          [1, 2],
          [0, 1],
          [0, 0],
        ]);
        return tf.conv2d(y, one as tf.Tensor4D, 1, "valid");
      },
    }),
    conv1d: (d) => ({
      inputs: { x: d.floats([2, 8, 3]), f: d.floats([3, 3, 4]) },
      fn: ({ x, f }) => tf.conv1d(x as tf.Tensor3D, f as tf.Tensor3D, 1, "same"),
    }),
    conv2dTranspose: (d) => ({
      inputs: { x: d.floats([2, 4, 4, 3]), f: d.floats([3, 3, 2, 3]) },
      fn: ({ x, f }) =>
        tf.conv2dTranspose(x as tf.Tensor4D, f as tf.Tensor4D, [2, 8, 8, 2], 2, "same"),
    }),
    depthwiseConv2d: (d) => {
      const { pad, strides, dilations } = conv(d);
      return {
        inputs: { x: d.floats([2, 7, 8, 3]), f: d.floats([3, 3, 3, 2]) },
        fn: ({ x, f }) =>
          tf.depthwiseConv2d(x as tf.Tensor4D, f as tf.Tensor4D, strides, pad, "NHWC", dilations),
      };
    },
    separableConv2d: (d) => ({
      inputs: { x: d.floats([1, 6, 6, 3]), f: d.floats([3, 3, 3, 2]), p: d.floats([1, 1, 6, 4]) },
      fn: ({ x, f, p }) =>
        tf.separableConv2d(x as tf.Tensor4D, f as tf.Tensor4D, p as tf.Tensor4D, 1, "same"),
    }),
    "fused.conv2d": (d) => ({
      inputs: { x: d.floats([1, 6, 6, 2]), f: d.floats([3, 3, 2, 3]), bias: d.floats([3]) },
      fn: ({ x, f, bias }) =>
        tf.fused.conv2d({
          x: x as tf.Tensor4D,
          filter: f as tf.Tensor4D,
          strides: 1,
          pad: "same",
          bias: bias!,
          activation: "relu",
        }),
    }),
    maxPool: (d) => {
      const { pad, strides } = conv(d);
      return {
        inputs: { x: d.floats([2, 7, 8, 3]) },
        fn: ({ x }) => tf.maxPool(x as tf.Tensor4D, [3, 2], strides, pad),
      };
    },
    avgPool: (d) => {
      const { pad, strides } = conv(d);
      return {
        inputs: { x: d.floats([2, 7, 8, 3]) },
        fn: ({ x }) => tf.avgPool(x as tf.Tensor4D, [3, 2], strides, pad),
      };
    },
    localResponseNormalization: (d) => ({
      inputs: { x: d.floats([2, 3, 3, 7]) },
      fn: ({ x }) => tf.localResponseNormalization(x as tf.Tensor4D, 2, 1.5, 0.7, 0.6),
    }),
    resizeBilinear: (d) => {
      const flags = d.pick([
        [false, false],
        [true, false],
        [false, true],
      ] as const);
      const size: [number, number] = [d.integer(2, 9), d.integer(2, 9)];
      return {
        inputs: { x: d.floats([2, 5, 6, 3]) },
        fn: ({ x }) => tf.image.resizeBilinear(x as tf.Tensor4D, size, ...flags),
      };
    },
    resizeNearestNeighbor: (d) => {
      const flags = d.pick([
        [false, false],
        [true, false],
        [false, true],
      ] as const);
      const size: [number, number] = [d.integer(2, 9), d.integer(2, 9)];
      return {
        inputs: { x: d.floats([2, 5, 6, 3]) },
        fn: ({ x }) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, size, ...flags),
      };
    },
  });
});

/** The gradients by every input of a weighted sum of `fn`. */
const gradients =
  (
    fn: (inputs: Record<string, tf.Tensor>) => tf.Tensor,
    make: (d: Draw) => Record<string, HostTensor>,
  ) =>
  (d: Draw): Case => {
    const inputs = make(d);
    return {
      inputs,
      fn: (tensors) => {
        const names = Object.keys(tensors).filter((name) => tensors[name]!.dtype === "float32");
        const loss = (...values: tf.Tensor[]) => {
          const all = { ...tensors, ...Object.fromEntries(names.map((n, i) => [n, values[i]!])) };
          const y = fn(all);
          const weights = tf.cos(tf.range(0, y.size, 1));
          return tf.sum(tf.mul(y, tf.reshape(weights, y.shape))) as tf.Scalar;
        };
        return tf.grads(loss)(names.map((name) => tensors[name]!));
      },
    };
  };

describe("gradients", () => {
  const image = (d: Draw) => d.floats([2, d.integer(6, 8), 7, 3]);
  sweep({
    "elementwise chain": gradients(
      ({ x, y }) => tf.div(tf.mul(tf.tanh(x!), tf.exp(y!)), tf.add(tf.square(y!), 1)),
      (d) => ({ x: d.floats([3, 4]), y: d.floats([4]) }),
    ),
    "relu, elu, sigmoid, softplus, abs": gradients(
      ({ x }) =>
        tf.add(tf.relu(x!), tf.mul(tf.elu(x!), tf.sigmoid(tf.add(tf.softplus(x!), tf.abs(x!))))),
      (d) => ({ x: d.floats(d.shape(3)) }),
    ),
    "pow, sqrt, log": gradients(
      ({ x, y }) => tf.add(tf.pow(x!, y!), tf.mul(tf.sqrt(x!), tf.log(x!))),
      (d) => ({ x: d.floats([3, 4], 0.3, 2), y: d.floats([3, 4]) }),
    ),
    "maximum, minimum, clip, where": gradients(
      ({ x, y, c }) => tf.where(c!, tf.maximum(x!, y!), tf.clipByValue(tf.minimum(x!, y!), -1, 1)),
      (d) => ({ x: d.floats([4, 4]), y: d.floats([4, 4]), c: d.bools([4, 4]) }),
    ),
    "matMul, transposed and batched": gradients(
      ({ x, y }) => tf.matMul(x!, y!, true, true),
      (d) => ({ x: d.floats([2, 4, 3]), y: d.floats([2, 5, 4]) }),
    ),
    "sum, mean, max, prod-like": gradients(
      ({ x }) => tf.add(tf.mul(tf.sum(x!, 1, true), tf.mean(x!)), tf.max(x!, 0)),
      (d) => ({ x: d.floats([3, 4]) }),
    ),
    "logSumExp over leading axes": gradients(
      ({ x }) => tf.logSumExp(x!, [0, 1]),
      (d) => ({ x: d.floats(d.shape(3)) }),
    ),
    "softmax and logSoftmax": gradients(
      ({ x }) => tf.mul(tf.softmax(x!), tf.logSoftmax(x!)),
      (d) => ({ x: d.floats([3, 5]) }),
    ),
    "slice, concat, pad, tile, reverse": gradients(
      ({ x, y }) =>
        tf.tile(
          tf.pad(tf.reverse(tf.concat([tf.slice(x!, [0, 1], [3, 2]), y!], 1), 1), [
            [1, 0],
            [0, 2],
          ]),
          [2, 2],
        ),
      (d) => ({ x: d.floats([3, 4]), y: d.floats([3, 2]) }),
    ),
    "gather and stack": gradients(
      ({ x, i }) => tf.stack([tf.gather(x!, i as tf.Tensor1D), tf.gather(x!, i as tf.Tensor1D)], 1),
      (d) => ({ x: d.floats([4, 3]), i: d.integers([5], 0, 3) }),
    ),
    "gather along an inner axis": gradients(
      ({ x, i }) => tf.gather(x!, i as tf.Tensor1D, 1),
      (d) => ({ x: d.floats([2, 4, 3]), i: d.integers([5], 0, 3) }),
    ),
    cumsum: gradients(
      ({ x }) => tf.cumsum(x!, 1),
      (d) => ({ x: d.floats([2, 4]) }),
    ),
    conv2d: (d) => {
      const { pad, strides } = conv(d);
      return gradients(
        ({ x, f }) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, strides, pad),
        () => ({ x: image(d), f: d.floats([3, 2, 3, 4]) }),
      )(d);
    },
    depthwiseConv2d: (d) => {
      const { pad, strides } = conv(d);
      return gradients(
        ({ x, f }) => tf.depthwiseConv2d(x as tf.Tensor4D, f as tf.Tensor4D, strides, pad),
        () => ({ x: image(d), f: d.floats([3, 3, 3, 2]) }),
      )(d);
    },
    maxPool: (d) => {
      const { pad, strides } = conv(d);
      return gradients(
        ({ x }) => tf.maxPool(x as tf.Tensor4D, 3, strides, pad),
        () => ({ x: image(d) }),
      )(d);
    },
    avgPool: (d) => {
      const { pad, strides } = conv(d);
      return gradients(
        ({ x }) => tf.avgPool(x as tf.Tensor4D, 3, strides, pad),
        () => ({ x: image(d) }),
      )(d);
    },
    batchNorm: gradients(
      ({ x, m, v, o, s }) =>
        tf.batchNorm(
          x as tf.Tensor2D,
          m as tf.Tensor1D,
          v as tf.Tensor1D,
          o as tf.Tensor1D,
          s as tf.Tensor1D,
        ),
      (d) => ({
        x: d.floats([5, 4]),
        m: d.floats([4]),
        v: d.floats([4], 0.5, 2),
        o: d.floats([4]),
        s: d.floats([4]),
      }),
    ),
    resizeBilinear: gradients(
      ({ x }) => tf.image.resizeBilinear(x as tf.Tensor4D, [5, 9]),
      (d) => ({ x: d.floats([2, 6, 6, 2]) }), // TensorFlow.js swaps the sides of others
    ),
  });
});

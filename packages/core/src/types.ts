/** The typed arrays that carry tensor values. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | BigInt64Array
  | BigUint64Array;

/** Element types of a {@link HostTensor}; the names TensorFlow.js uses. */
export type DType = "float32" | "int32" | "bool";

/** A tensor whose values lie in ordinary memory: what passes between packages, workers and files. */
export interface HostTensor {
  /** Element type; `data` is a `Float32Array`, `Int32Array` or (bool) `Uint8Array`. */
  readonly dtype: DType;
  /** Dimensions, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** Values in row-major order. */
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** Named host tensors, flat: parameters, optimizer moments, one batch. */
export type HostTensors = Readonly<Record<string, HostTensor>>;

/** Height, width and channels of an image, in this order (NHWC). */
export type ImageShape = readonly [height: number, width: number, channels: number];

/** One image and its class. */
export interface LabeledImage {
  /** `[H, W, C]` row-major, float32 in [0, 1]. */
  readonly image: Float32Array;
  /** Class index in `[0, numClasses)`. */
  readonly label: number;
}

/** Images by index. Any object of this form is a data set; `@dmae/datasets` makes some. */
export interface ImageDataset {
  /** A short name for logs and messages, e.g. `fashion-mnist/test`; default: none. */
  readonly name?: string | undefined;
  /** Number of images. */
  readonly length: number;
  /** Shape of every image. */
  readonly imageShape: ImageShape;
  /** Number of classes; labels are `0 … numClasses - 1`. */
  readonly numClasses: number;
  /** Class names by label. */
  readonly classNames?: readonly string[];
  /** Image `index`, `0 <= index < length`; throws a `DmaeError` ("argument") outside. */
  get(index: number): LabeledImage | Promise<LabeledImage>;
}

/** Several images of one shape. */
export interface Batch {
  /** `[B, H, W, C]` row-major, float32 in [0, 1]. */
  readonly images: Float32Array;
  /** `[B]` class indices. */
  readonly labels: Int32Array;
  /** `[B]` positions of the images in their data set. */
  readonly indices: Int32Array;
  /** Number of images `B`. */
  readonly size: number;
  /** Shape of every image. */
  readonly imageShape: ImageShape;
}

/** What a builder takes of `Fields`: any of them, left out or undefined where its default is good. */
export type Given<Fields> = { readonly [Name in keyof Fields]?: Fields[Name] | undefined };

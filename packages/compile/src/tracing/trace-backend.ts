import { DmaeError } from "@dmae/core";
import type { BackendValues, TypedArray } from "@tensorflow/tfjs-core";
import {
  type DataId,
  type DataMover,
  DataStorage,
  type DataType,
  KernelBackend,
  type TensorInfo,
} from "@tensorflow/tfjs-core";
import { elements } from "../graph/evaluate.ts";
import { type ElementType, type Graph, sizeOf, type Value } from "../graph/graph.ts";
import { userFrame } from "./user-frame.ts";

/** The name under which the tracing backend registers its kernels. */
export const TRACE_BACKEND = "dmae-trace";

interface Entry {
  value: Value;
  references: number;
}

/**
 * A TensorFlow.js backend that computes nothing: its kernels append nodes to `graph`, and its tensors
 * stand for values of the graph. Constants can be read back; everything else is an error.
 */
export class TraceBackend extends KernelBackend {
  private readonly entries: DataStorage<Entry>;
  /** The first attempt to read a value later (`await x.data()`), which cannot fail at its line. */
  awaited: DmaeError | null = null;
  /** Tensors of other backends that were used while tracing, to be handed back. */
  readonly captured: DataId[] = [];

  constructor(
    readonly graph: Graph,
    readonly caller: string,
    dataMover: DataMover,
  ) {
    super();
    this.entries = new DataStorage(this, dataMover);
  }

  /** The graph value behind a tensor. */
  lookup(tensor: TensorInfo): Value {
    const { value } = this.entries.get(tensor.dataId);
    return value;
  }

  /** A tensor that stands for `value`. */
  tensorOf(value: Value): TensorInfo {
    const dataId = {};
    this.entries.set(dataId, { value, references: 1 });
    return { dataId, shape: [...value.shape], dtype: value.dtype as DataType };
  }

  override write(values: BackendValues, shape: number[], dtype: DataType): DataId {
    const dataId = {};
    this.entries.set(dataId, { value: this.constant(values, shape, dtype), references: 1 });
    return dataId;
  }

  override move(
    dataId: DataId,
    values: BackendValues,
    shape: number[],
    dtype: DataType,
    references: number,
  ): void {
    this.captured.push(dataId);
    this.entries.set(dataId, { value: this.constant(values, shape, dtype), references });
  }

  private constant(values: BackendValues, shape: number[], dtype: DataType): Value {
    const type = elementType(dtype, this.caller);
    const source = values as ArrayLike<number>;
    const data =
      type === "float32"
        ? Float32Array.from(source)
        : type === "int32"
          ? Int32Array.from(source)
          : Uint8Array.from(source);
    if (data.length !== sizeOf(shape))
      throw new DmaeError(
        "shape",
        `${this.caller}: ${data.length} values for the shape [${shape}]`,
      );
    return this.graph.constant(type, shape, data);
  }

  override readSync(dataId: DataId): BackendValues {
    const { value } = this.entries.get(dataId);
    if (value.constant) return elements(value) as TypedArray as BackendValues;
    throw this.hostRead("dataSync");
  }

  /** Never settles for a value that is not known: nobody may be there to catch an error. */
  override read(dataId: DataId): Promise<BackendValues> {
    const { value } = this.entries.get(dataId);
    if (value.constant) return Promise.resolve(elements(value) as TypedArray as BackendValues);
    this.awaited ??= this.hostRead("data");
    return new Promise(() => {});
  }

  private hostRead(method: string): DmaeError {
    const { operation, line } = userFrame();
    return new DmaeError(
      "unsupported",
      `${this.caller}: ${operation ?? method} reads a value on the host while the function is traced${line}; ` +
        "compute with tensors only, or pass the value in as an input",
      { operation: operation ?? method, line },
    );
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.entries.has(dataId)) return true;
    const entry = this.entries.get(dataId);
    entry.references--;
    if (!force && entry.references > 0) return false;
    this.entries.delete(dataId);
    return true;
  }

  override incRef(dataId: DataId): void {
    this.entries.get(dataId).references++;
  }

  override refCount(dataId: DataId): number {
    return this.entries.has(dataId) ? this.entries.get(dataId).references : 0;
  }

  override numDataIds(): number {
    return this.entries.numDataIds();
  }

  override memory() {
    return { unreliable: true };
  }

  override timerAvailable(): boolean {
    return false;
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {}
}

/** The element type of a TensorFlow.js dtype; strings and complex numbers have none. */
export function elementType(dtype: string, caller: string): ElementType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new DmaeError(
    "unsupported",
    `${caller}: tensors of dtype ${dtype} cannot be compiled; use float32, int32 or bool`,
    { dtype },
  );
}

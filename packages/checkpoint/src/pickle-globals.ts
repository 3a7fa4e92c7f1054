import { dtypes, type StoredDType } from "./dtypes.ts";
import {
  PickleGlobal,
  PickleInstance,
  PickleStorage,
  PickleTensor,
  type PickleValue,
} from "./pickle-values.ts";
import { markReference } from "./plain-value.ts";

/** Refuses the pickle for the reason given. @internal */
export type Fail = (reason: string, details?: { readonly isCut?: boolean }) => never;

/** Counts work that a call does beyond its own step, and refuses too much. @internal */
export type Spend = (steps: number) => void;

/** @internal */
export interface PickleContext {
  readonly fail: Fail;
  readonly spend: Spend;
  /** The storages named so far, by key. */
  readonly storages: Map<string, PickleStorage>;
}

type Call = (args: PickleValue[], context: PickleContext) => PickleValue;

const storageTypes: Readonly<Record<string, StoredDType | undefined>> = {
  "torch.DoubleStorage": "float64",
  "torch.FloatStorage": "float32",
  "torch.HalfStorage": "float16",
  "torch.BFloat16Storage": "bfloat16",
  "torch.LongStorage": "int64",
  "torch.IntStorage": "int32",
  "torch.ShortStorage": "int16",
  "torch.CharStorage": "int8",
  "torch.ByteStorage": "uint8",
  "torch.BoolStorage": "bool",
  "torch.UntypedStorage": undefined,
  "torch.storage.UntypedStorage": undefined,
};

const dtypeNames: Readonly<Record<string, StoredDType>> = {
  "torch.float64": "float64",
  "torch.double": "float64",
  "torch.float32": "float32",
  "torch.float": "float32",
  "torch.float16": "float16",
  "torch.half": "float16",
  "torch.bfloat16": "bfloat16",
  "torch.int64": "int64",
  "torch.long": "int64",
  "torch.int32": "int32",
  "torch.int": "int32",
  "torch.int16": "int16",
  "torch.short": "int16",
  "torch.int8": "int8",
  "torch.uint64": "uint64",
  "torch.uint32": "uint32",
  "torch.uint16": "uint16",
  "torch.uint8": "uint8",
  "torch.bool": "bool",
};

/** The only names that are called; each call makes plain data. */
const calls: Readonly<Record<string, Call>> = {
  "collections.OrderedDict": makeMap,
  "argparse.Namespace": (args) => new PickleInstance(new PickleGlobal("argparse.Namespace"), args),
  "builtins.set": makeSet,
  "__builtin__.set": makeSet,
  "builtins.frozenset": makeSet,
  "__builtin__.frozenset": makeSet,
  "torch.Size": oneList,
  "torch.device": deviceName,
  "_codecs.encode": latin1Bytes,
  "builtins.bytes": makeBytes,
  "__builtin__.bytes": makeBytes,
  "builtins.bytearray": makeBytes,
  "__builtin__.bytearray": makeBytes,
  "torch._utils._rebuild_tensor": (args, context) => rebuildTensor(args.slice(0, 4), context),
  "torch._utils._rebuild_tensor_v2": (args, context) =>
    rebuildTensor([...args.slice(0, 4), null, args[6] ?? null], context),
  "torch._utils._rebuild_tensor_v3": (args, context) =>
    rebuildTensor([...args.slice(0, 4), args[6] ?? null, args[7] ?? null], context),
  "torch._utils._rebuild_parameter": ([tensor], context) => onlyTensor(tensor, context),
  "torch._utils._rebuild_parameter_with_state": ([tensor], context) => onlyTensor(tensor, context),
  "torch._tensor._rebuild_from_type_v2": rebuildFromType,
};

/** Names that may appear as arguments of the calls above, and are never called. */
const passive = new Set(["torch.Tensor", "torch.nn.parameter.Parameter"]);

/** True for a name that tensors need. @internal */
export function isKnownGlobal(name: string): boolean {
  return (
    Object.hasOwn(calls, name) ||
    Object.hasOwn(storageTypes, name) ||
    Object.hasOwn(dtypeNames, name) ||
    passive.has(name)
  );
}

/** Calls one of the known names; any other callee becomes inert data. @internal */
export function callGlobal(
  callee: PickleValue,
  args: PickleValue,
  context: PickleContext,
): PickleValue {
  if (!(callee instanceof PickleGlobal)) return context.fail("it calls what is no function");
  if (!Array.isArray(args)) return context.fail(`it calls ${callee.name} without arguments`);
  if (Object.hasOwn(calls, callee.name)) return calls[callee.name]!(args, context);
  return new PickleInstance(callee, args);
}

/**
 * The storage that a persistent id `("storage", type, key, location, count)` names. The first versions of
 * PyTorch added `(view key, offset, count)` for a view of the storage.
 *
 * @internal
 */
export function storageOf(id: PickleValue, { fail, storages }: PickleContext): PickleStorage {
  if (!Array.isArray(id) || id[0] !== "storage") return fail("it refers to something outside it");
  const [, type, key, , total, view = null] = id;
  const name = type instanceof PickleGlobal ? type.name : "";
  if (!Object.hasOwn(storageTypes, name) || typeof key !== "string" || !isIndex(total))
    return fail("it describes a storage in a way that is not known");
  const [, start, count] = Array.isArray(view) ? view : [null, 0, total];
  if (!isIndex(start) || !isIndex(count) || start + count > total)
    return fail(`it describes a view of storage "${key}" that reaches beyond it`);
  const storage = new PickleStorage(key, storageTypes[name], count, start, total);
  if ((storages.get(key) ?? storage).byteLength !== storage.byteLength)
    return fail(`it gives storage "${key}" two sizes`);
  storages.set(key, storage);
  return storage;
}

/** `[storage, offset, sizes, strides, dtype?, metadata?]`. */
function rebuildTensor(args: PickleValue[], { fail, spend }: PickleContext): PickleTensor {
  const [storage, offset, shape, strides, dtypeGlobal, metadata = null] = args;
  if (!(storage instanceof PickleStorage)) return fail("it builds a tensor without a storage");
  if (!isIndex(offset) || !isSizes(shape) || !isSizes(strides) || shape.length !== strides.length)
    return fail("it builds a tensor with an offset, sizes or strides that are no whole numbers");
  const explicit = dtypeGlobal instanceof PickleGlobal ? dtypeGlobal.name : "";
  const dtype = storage.dtype ?? (Object.hasOwn(dtypeNames, explicit) && dtypeNames[explicit]);
  if (!dtype) return fail("it builds a tensor of an unknown element type");
  const isNegated = readNegation(metadata, fail);
  if (isNegated && dtype === "bool") return fail("it builds a negated tensor of truth values");
  checkExtent(dtype, shape, strides, offset, storage, fail);
  spend(shape.length); // sizes and strides are copied
  const first = offset + storage.start;
  return markReference(
    new PickleTensor(dtype, [...shape], [...strides], first, storage, isNegated),
  );
}

/** What `torch._utils.get_tensor_metadata` wrote: `{"neg": True}` for a view with the other sign. */
function readNegation(metadata: PickleValue, fail: Fail): boolean {
  if (metadata === null) return false;
  if (!(metadata instanceof Map)) return fail("it describes a tensor by what is no dict");
  for (const [name, value] of metadata)
    if (name !== "neg" && value !== false)
      return fail(
        `it builds a tensor with "${String(name)}", which is not known here; in Python save tensor.resolve_conj().cpu().clone() instead`,
      );
  return metadata.get("neg") === true;
}

/** A strided view must stay inside its storage; how often it repeats elements is checked for all tensors together. */
function checkExtent(
  dtype: StoredDType,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
  storage: PickleStorage,
  fail: Fail,
): void {
  const elements = shape.reduce((product, size) => product * size, 1);
  if (!(elements <= Number.MAX_SAFE_INTEGER)) fail(`it builds a tensor of shape [${shape}]`);
  if (elements === 0) return;
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
  const { bytes } = dtypes[dtype];
  const room = storage.dtype === undefined ? Math.floor(storage.count / bytes) : storage.count;
  if (!(last < room))
    fail(`a tensor of shape [${shape}] reaches element ${last} of a storage of ${room}`);
}

function rebuildFromType(args: PickleValue[], context: PickleContext): PickleValue {
  const [rebuild, type, inner] = args;
  const name = rebuild instanceof PickleGlobal ? rebuild.name : "";
  const isPlain = type instanceof PickleGlobal && passive.has(type.name);
  if (!name.startsWith("torch._utils._rebuild_") || !isPlain)
    return context.fail(`it builds a tensor subclass with ${name || "what is no function"}`);
  return onlyTensor(callGlobal(rebuild!, inner ?? null, context), context);
}

function onlyTensor(value: PickleValue | undefined, { fail }: PickleContext): PickleTensor {
  return value instanceof PickleTensor ? value : fail("it makes a parameter of what is no tensor");
}

function makeMap(args: PickleValue[], context: PickleContext): PickleValue {
  const map = new Map<PickleValue, PickleValue>();
  for (const pair of oneList(args, context))
    if (Array.isArray(pair) && pair.length === 2) map.set(pair[0]!, pair[1]!);
    else context.fail("it makes an OrderedDict of what are no pairs");
  return map;
}

function makeSet(args: PickleValue[], context: PickleContext): PickleValue {
  return new Set(oneList(args, context));
}

/** The one list among the arguments; going through it counts as work, for it may be shared. */
function oneList(args: PickleValue[], { fail, spend }: PickleContext): PickleValue[] {
  if (args.length === 0) return [];
  const [list] = args;
  if (args.length !== 1 || !Array.isArray(list)) return fail("it collects what is no list");
  spend(list.length);
  return list;
}

function deviceName(args: PickleValue[], { fail }: PickleContext): PickleValue {
  const [type, index = null] = args;
  if (typeof type !== "string" || type.length > 100) return fail("it names a device by no text");
  return typeof index === "number" ? `${type}:${index}` : type;
}

/** How protocol 2 writes an empty `bytes`, and protocols 2 to 4 a `bytearray`: of nothing, of bytes or of text. */
function makeBytes(args: PickleValue[], context: PickleContext): PickleValue {
  if (args.length === 0) return new Uint8Array();
  if (args.length === 1 && args[0] instanceof Uint8Array) return args[0];
  return latin1Bytes(args, context);
}

/** How protocol 2 writes `bytes`: text whose characters are the bytes. */
function latin1Bytes(args: PickleValue[], { fail, spend }: PickleContext): PickleValue {
  const [text, encoding] = args;
  if (typeof text !== "string" || (encoding !== "latin1" && encoding !== "latin-1"))
    return fail("it encodes unknown text");
  spend(text.length >> 4);
  return Uint8Array.from(text, (character) => character.codePointAt(0)!);
}

function isIndex(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSizes(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.length <= 64 && value.every(isIndex);
}

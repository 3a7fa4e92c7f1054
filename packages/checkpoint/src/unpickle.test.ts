import { DmaeError } from "@dmae/core";
import { describe, expect, test } from "vitest";
import { type LoadCheckpointOptions, loadCheckpoint } from "./index.ts";
import {
  archive,
  bytes,
  call,
  dict,
  global,
  little,
  pickle,
  tensor,
  text,
  tuple,
  whole,
} from "./testing/pickle-builder.ts";

const one = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);

/** Loads a checkpoint whose pickle is `value`, over one storage of four floats. */
const load = (value: Uint8Array, options: LoadCheckpointOptions = { select: [] }) =>
  loadCheckpoint(archive(pickle(value), { 0: one }), options);

async function refused(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  if (!DmaeError.isInstance(error)) throw error ?? new Error("nothing was thrown");
  return `${error.code}: ${error.message}`;
}

describe("a pickle that tries to run something is refused by name", () => {
  const command = text("touch /tmp/owned");
  test.each([
    ["os.system", call(global("os", "system"), command)],
    ["posix.system", call(global("posix", "system"), command)],
    ["nt.system", call(global("nt", "system"), command)],
    ["builtins.eval", call(global("builtins", "eval"), text("1"))],
    ["__builtin__.eval", call(global("__builtin__", "eval"), text("1"))],
    ["builtins.getattr", call(global("builtins", "getattr"), global("os", "x"), text("system"))],
    ["subprocess.Popen", bytes(global("subprocess", "Popen"), tuple(command), 0x81)],
    ["torch.hub.load", call(global("torch.hub", "load"), command)],
    ["torch.load", call(global("torch", "load"), command)],
    ["constructor.constructor", call(global("constructor", "constructor"), command)],
    ["__proto__.toString", call(global("__proto__", "toString"), command)],
  ])("%s", async (name, value) => {
    const message = await refused(load(value));
    expect(message).toMatch(/^unsupported: loadCheckpoint: the pickle names /);
    expect(message).toContain(name);
    expect(message).toContain("nothing was executed");
  });

  test("nested in what tensors need, by protocol 4 names, and in what is thrown away", async () => {
    const system = call(global("os", "system"), command);
    const inside = call(global("torch._utils", "_rebuild_parameter"), system, bytes(0x88));
    expect(await refused(load(inside))).toMatch(/^unsupported.*os\.system/);
    const inHooks = dict([text("model"), call(global("collections", "OrderedDict"), system)]);
    expect(await refused(load(inHooks))).toMatch(/^unsupported.*os\.system/);
    const stackGlobal = bytes(text("os"), text("system"), 0x93, tuple(command), "R");
    expect(await refused(load(stackGlobal))).toMatch(/^unsupported.*os\.system/);
    expect(await refused(load(bytes(system, "0N")))).toMatch(/^unsupported.*os\.system/);
    const built = bytes(global("os", "system"), "}b");
    expect(await refused(load(built))).toMatch(/^unsupported.*os\.system/);
  });

  test("all names are listed at once, also where the pickle breaks off", async () => {
    const two = tuple(global("os", "system"), global("numpy", "dtype"));
    expect(await refused(load(two))).toMatch(/names os\.system, numpy\.dtype, which/);
    expect(await refused(load(bytes(two, 0xff)))).toMatch(/names os\.system, numpy\.dtype, which/);
  });

  test("opcodes that could reach further do not exist here", async () => {
    for (const opcode of ["i", "o", "P", "\x82", "\x83", "\x84", "\x92", "\x97", "\x98", "S", "I"])
      expect(await refused(load(bytes("(N", opcode, "os\nsystem\n")))).toMatch(/^file.*opcode 0x/);
  });

  test("allowGlobals keeps an object as data", async () => {
    const path = call(global("pathlib", "PosixPath"), text("/"), text("data"));
    expect(await refused(load(path))).toMatch(/allowGlobals: \["pathlib\.PosixPath"\]/);
    const { contents } = await load(path, { allowGlobals: ["pathlib.PosixPath"], select: [] });
    expect(contents).toEqual({ global: "pathlib.PosixPath", args: ["/", "data"], state: null });
    // a defaultdict gets its entries, a deque its items
    const builtin = global("builtins", "int");
    const allowGlobals = ["collections.defaultdict", "collections.deque", "builtins.int"];
    const dict = bytes(
      call(global("collections", "defaultdict"), builtin),
      text("a"),
      whole(1),
      "s",
    );
    expect((await load(dict, { allowGlobals, select: [] })).contents).toEqual({
      ...{ global: "collections.defaultdict", args: ["builtins.int"], state: null },
      entries: { a: 1 },
    });
    const deque = bytes(call(global("collections", "deque")), whole(1), "a");
    expect((await load(deque, { allowGlobals, select: [] })).contents).toEqual({
      ...{ global: "collections.deque", args: [], state: null, items: [1] },
    });
  });

  test("tensors with many sizes count for their sizes, even where they share them", async () => {
    const storage = [text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu")];
    const sizes = (value: number) => tuple(...Array.from({ length: 60 }, () => whole(value)));
    const view = [bytes(tuple(...storage, whole(4)), "Q"), whole(0), sizes(1), sizes(0)];
    const args = tuple(...view, bytes(0x89), call(global("collections", "OrderedDict")));
    const build = bytes(global("torch._utils", "_rebuild_tensor_v2"), "q\x01", args, "q\x02", "R");
    const many = (count: number) => bytes("](", build, "h\x01h\x02R".repeat(count), "e");
    expect((await load(many(1000))).names).toHaveLength(1001);
    expect(await refused(load(many(20_000)))).toMatch(/it takes more than 1000000 steps/);
  });
});

describe("the other ways in which PyTorch writes tensors", () => {
  const plain = tensor({ count: 4, shape: [4], strides: [1] });
  const rebuild = (name: string, ...args: Uint8Array[]) =>
    call(global("torch._utils", name), ...args);
  const id = (type: string, count: number) =>
    bytes(tuple(text("storage"), global("torch", type), text("0"), text("cpu"), whole(count)), "Q");
  const layout = [whole(0), tuple(whole(2)), tuple(whole(1))];
  const type = global("torch.nn.parameter", "Parameter");
  const none = bytes("N");
  const function2 = global("torch._utils", "_rebuild_tensor_v2");
  const function3 = (dtype: Uint8Array) =>
    rebuild("_rebuild_tensor_v3", id("UntypedStorage", 16), ...layout, none, none, dtype);

  test.each([
    ["_rebuild_parameter_with_state", rebuild("_rebuild_parameter_with_state", plain, none, none)],
    ["_rebuild_tensor", rebuild("_rebuild_tensor", id("FloatStorage", 4), ...layout)],
    ["_rebuild_tensor_v3", function3(global("torch", "float32"))],
    [
      "_rebuild_from_type_v2",
      call(
        global("torch._tensor", "_rebuild_from_type_v2"),
        function2,
        type,
        tuple(id("FloatStorage", 4), ...layout),
        none,
      ),
    ],
  ])("%s", async (_, value) => {
    const checkpoint = await load(dict([text("x"), value]));
    expect([...(await checkpoint.read("x")).data].slice(0, 2)).toEqual([1, 2]);
  });

  test("an untyped storage as another element type", async () => {
    const checkpoint = await load(dict([text("x"), function3(global("torch", "uint8"))]));
    expect([...(await checkpoint.read("x")).data]).toEqual([0, 0]); // 1 is 00 00 80 3f
  });

  test.each([
    ["a parameter of no tensor", rebuild("_rebuild_parameter", whole(1)), /what is no tensor/],
    ["no element type", function3(none), /unknown element type/],
    ["no storage", rebuild("_rebuild_tensor_v2", whole(1), ...layout), /without a storage/],
    [
      "a subclass rebuilt by something else",
      call(global("torch._tensor", "_rebuild_from_type_v2"), whole(1), type, tuple(), none),
      /tensor subclass with what is no function/,
    ],
    ["a storage by itself", id("FloatStorage", 4), /a storage outside a tensor/],
    [
      "pairs that are none",
      call(global("collections", "OrderedDict"), tuple(whole(1))),
      /no pairs/,
    ],
    ["a set of a number", call(global("builtins", "set"), whole(1)), /collects what is no list/],
    ["a device without a name", call(global("torch", "device"), whole(1)), /by no text/],
    [
      "text in another encoding",
      call(global("_codecs", "encode"), text("x"), text("rot13")),
      /unknown text/,
    ],
    ["bytes of a length", call(global("builtins", "bytes"), whole(9)), /unknown text/],
    ["a call without arguments", bytes(global("torch", "device"), "NR"), /without arguments/],
  ])("%s is a damaged pickle", async (_, value, message) => {
    expect(await refused(load(value))).toMatch(message);
  });

  test("an OrderedDict of pairs, a device without a number", async () => {
    const pairs = call(global("collections", "OrderedDict"), tuple(tuple(text("a"), whole(1))));
    const device = call(global("torch", "device"), text("cpu"));
    expect((await load(dict([text("d"), device], [text("o"), pairs]))).contents).toEqual({
      d: "cpu",
      o: { a: 1 },
    });
  });
});

describe("tensors are checked against their storage before anything is read", () => {
  const model = (options: Parameters<typeof tensor>[0]) => load(dict([text("x"), tensor(options)]));

  test("offset, shape and strides inside the storage", async () => {
    const checkpoint = await model({ count: 4, offset: 1, shape: [2, 1], strides: [2, 1] });
    expect(await checkpoint.read("x")).toEqual({
      dtype: "float32",
      shape: [2, 1],
      data: new Float32Array([2, 4]),
    });
  });

  test("stride 0 repeats", async () => {
    const checkpoint = await model({ count: 4, offset: 3, shape: [2, 2], strides: [0, 0] });
    expect([...(await checkpoint.read("x")).data]).toEqual([4, 4, 4, 4]);
  });

  test.each([
    ["beyond the end", { count: 4, shape: [5], strides: [1] }, /reaches element 4 of .* 4/],
    ["offset beyond the end", { count: 4, offset: 4, shape: [1], strides: [1] }, /element 4/],
    ["stride beyond the end", { count: 4, shape: [2, 2], strides: [3, 1] }, /element 4/],
    ["negative stride", { count: 4, shape: [2], strides: [-1] }, /no whole numbers/],
    ["negative size", { count: 4, shape: [-1], strides: [1] }, /no whole numbers/],
    ["ranks that differ", { count: 4, shape: [2, 2], strides: [1] }, /no whole numbers/],
    [
      "a terabyte out of four numbers",
      { count: 4, shape: [2 ** 20, 2 ** 20], strides: [0, 0] },
      /at most 4 times its \d+ bytes, got 4398046511104 bytes/,
    ],
    [
      "a product that overflows",
      { count: 4, shape: [2 ** 30, 2 ** 30, 2 ** 30], strides: [0, 0, 0] },
      /builds a tensor of shape/,
    ],
    ["another count than the file has", { count: 5, shape: [5], strides: [1] }, /16 bytes, not 5/],
    ["no such storage", { key: "7", count: 4, shape: [4], strides: [1] }, /lacks the storage "7"/],
    ["no such type", { type: "Tensor", count: 4, shape: [4], strides: [1] }, /not known/],
  ])("%s", async (_, options, message) => {
    expect(await refused(model(options))).toMatch(message);
  });

  test("an unknown storage type is named", async () => {
    const options = { type: "ComplexFloatStorage", count: 2, shape: [2], strides: [1] };
    expect(await refused(model(options))).toMatch(/^unsupported.*torch\.ComplexFloatStorage/);
  });
});

describe("bombs", () => {
  test("a list that doubles thirty times stays small", async () => {
    // memo i = [memo i-1, memo i-1]: 2^30 leaves when walked naively
    const steps = Array.from({ length: 30 }, (_, i) =>
      bytes("h", i, "h", i, 0x86, "q", i + 1, "0"),
    );
    const leaf = tensor({ count: 4, shape: [1], strides: [1] });
    const named = load(bytes(leaf, "q\x00", "0", ...steps, "h\x1e"));
    expect(await refused(named)).toMatch(/^file.*more than 200000 names/);
    const plain = await load(bytes("]q\x00", "0", ...steps, "h\x1e"));
    expect(plain.names).toEqual([]);
  });

  test("long names inside each other, ten thousand characters each", async () => {
    // memo i = { long key: memo i-1, other long key: memo i-1 }
    const steps = Array.from({ length: 16 }, (_, i) =>
      bytes(
        "}(",
        text("a".repeat(600)),
        "h",
        i,
        text("b".repeat(600)),
        "h",
        i,
        "u",
        "q",
        i + 1,
        "0",
      ),
    );
    const leaf = tensor({ count: 4, shape: [1], strides: [1] });
    const file = load(bytes(leaf, "q\x00", "0", ...steps, "h\x10"));
    expect(await refused(file)).toMatch(/^file.*names of 8388608 characters/);
  });

  test("tensors that repeat a storage are capped in total, and so are the names of one tensor", async () => {
    const tensors = (count: number, size: number) =>
      Array.from({ length: count }, (_, i): [Uint8Array, Uint8Array] => [
        text(`t${i}`),
        tensor({ count: 4, shape: [size], strides: [0] }),
      ]);
    expect((await load(dict(...tensors(16, 1 << 20)))).names).toHaveLength(16); // 64 MiB
    expect(await refused(load(dict(...tensors(20, 1 << 20))))).toMatch(/at most 4 times its/);
    const first = bytes(tensor({ count: 4, shape: [1 << 20], strides: [0] }), "q\x00", "0");
    const names = Array.from({ length: 20 }, (_, i): [Uint8Array, Uint8Array] => [
      text(`t${i}`),
      bytes("h\x00"),
    ]);
    expect(await refused(load(bytes(first, dict(...names))))).toMatch(/at most 4 times its/);
  });

  test("a value that contains itself, and one nested very deep", async () => {
    expect(await refused(load(bytes("]q\x00h\x00a")))).toMatch(/contains itself/);
    const deep = bytes("]".repeat(5000), "a".repeat(4999));
    expect(await refused(load(deep))).toMatch(/more than 200 deep/);
  });

  test("copies of a long list count as work", async () => {
    const list = bytes("](", ...Array.from({ length: 2000 }, () => "N"), "e", "q\x00");
    const copies = Array.from({ length: 2000 }, () =>
      bytes("0", global("builtins", "set"), "h\x00", 0x85, "R"),
    );
    expect(await refused(load(bytes(list, ...copies)))).toMatch(/more than 1000000 steps/);
  });

  test("announced lengths beyond the end are not allocated", async () => {
    for (const code of ["X", "B", "T"])
      expect(await refused(load(bytes(code, little(0xfffffff0, 4))))).toMatch(/ends in the middle/);
    for (const code of [0x8d, 0x8e, 0x96])
      expect(await refused(load(bytes(code, little(2 ** 50, 8))))).toMatch(
        /more bytes than it has/,
      );
    expect(await refused(load(bytes(0x8b, little(100000, 4))))).toMatch(/whole number of 100000/);
  });

  test("a pickle larger than the cap", async () => {
    const large = load(text("x".repeat(2000)), { select: [], maxHeaderBytes: 1000 });
    expect(await refused(large)).toMatch(/may have 1000 bytes at most, got 2008; maxHeaderBytes/);
  });
});

describe("values", () => {
  const oneAndOne = new Map<unknown, unknown>([
    [1, "a"],
    ["1", "b"],
  ]);

  const bytearray2 = global("__builtin__", "bytearray");
  test.each([
    ["a long of three bytes", bytes(0x8a, 3, 0, 0, 0x80), -8388608],
    ["an empty long", bytes(0x8a, 0), 0],
    ["2^64", bytes(0x8a, 9, little(0, 8), 1), 2n ** 64n],
    ["-2^53", bytes(0x8a, 7, little(0, 6), 0xe0), -(2n ** 53n)],
    ["a dict with tuple keys", dict([tuple(whole(1)), text("a")]), new Map([[[1], "a"]])],
    ["a dict with 1 and '1'", dict([whole(1), text("a")], [text("1"), text("b")]), oneAndOne],
    ["whole keys", dict([whole(10), text("a")], [whole(2), text("b")]), { 2: "b", 10: "a" }],
    ["a dict of marks", bytes("(", text("k"), "Nd"), { k: null }],
    ["a list of marks", bytes("(NNl"), [null, null]],
    ["a frozenset", bytes("(K\x01K\x02", 0x91), [1, 2]],
    ["a set", bytes(0x8f, "(K\x01K\x01", 0x90), [1]],
    ["DUP and POP", bytes("K\x05", "2", "0"), 5],
    ["POP_MARK", bytes("K\x05(NN1"), 5],
    ["bytes", bytes("C\x02\x00\xff"), Uint8Array.of(0, 255)],
    ["empty bytes of protocol 2", call(global("__builtin__", "bytes")), new Uint8Array()],
    [
      "a bytearray of protocol 2",
      call(bytearray2, text("\xff"), text("latin-1")),
      Uint8Array.of(255),
    ],
    ["a bytearray", call(global("builtins", "bytearray"), bytes("C\x01a")), Uint8Array.of(97)],
    ["a float", bytes("G\x3f\xb9\x99\x99\x99\x99\x99\x9a"), 0.1],
    ["uint16", bytes("M\xff\xff"), 65535],
  ])("%s", async (_, value, expected) => {
    const { contents } = await load(dict([text("x"), value]));
    expect(contents.x).toEqual(expected);
  });

  test("a root that is no dictionary lies under value", async () => {
    expect((await load(tuple(whole(1), text("a")))).contents).toEqual({ value: [1, "a"] });
    const alone = await load(tensor({ count: 4, shape: [2], strides: [1] }), {});
    expect([...(await alone.read("value")).data]).toEqual([1, 2]);
  });

  test("a key __proto__ stays data", async () => {
    const { contents } = await load(dict([text("__proto__"), dict([text("polluted"), text("x")])]));
    expect(Object.keys(contents as object)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    const named = load(dict([text("__proto__"), tensor({ count: 4, shape: [4], strides: [1] })]));
    expect(await refused(named)).toMatch(/^checkpoint.*"__proto__"/);
  });

  test("plain data that looks like a tensor is none", async () => {
    const { names } = await load(
      dict([text("kind"), text("tensor")], [text("shape"), bytes("]")], [text("dtype"), text("f")]),
    );
    expect(names).toEqual([]);
  });

  test.each([
    ["an empty stack", bytes("0")],
    ["a missing mark", bytes("t")],
    ["values left behind", bytes("NN")],
    ["an unknown memo", bytes("h\x05")],
    ["appending to a dict", bytes("}Na")],
    ["setting in a list", bytes("]NNs")],
    ["an odd number of items", bytes("}(Nu")],
    ["calling a number", bytes("K\x01)R")],
    ["attributes of a number", bytes("K\x01}b")],
    ["reaching below a mark", bytes("N(0")],
    ["text that is not UTF-8", bytes("X\x01\x00\x00\x00\xff")],
    ["protocol 9", bytes("\x80\x09N")],
    ["a foreign persistent id", bytes(text("x"), "Q")],
  ])("%s is a damaged pickle", async (_, value) => {
    expect(await refused(load(value))).toMatch(/^file: loadCheckpoint: the pickle is damaged/);
  });
});

import { DmaeError, type TypedArray } from "@dmae/core";
import { expect, test } from "vitest";
import { loadCheckpoint } from "./index.ts";
import {
  archive,
  bytes,
  call,
  dict,
  global,
  pickle,
  tensor,
  text,
} from "./testing/pickle-builder.ts";

/*
 * negated.pth: PyTorch 2.13.0, no randomness:
 *   n = torch._neg_view
 *   torch.save({"neg": n(torch.ones(3)), "z": n(torch.tensor([0., float("nan"), -2, float("inf")])),
 *     "h": n(torch.tensor([0, 1.5]).half()), "b": n(torch.tensor([0, 1.5]).bfloat16()),
 *     "i": n(torch.tensor([1, -2, -2**63])), "u": n(torch.tensor([1, 0, 255], dtype=torch.uint8)),
 *     "imag": torch.nn.Parameter(n(torch.arange(6.).reshape(2, 3)).T)}, "negated.pth")
 * The values below are what torch.load prints of it.
 */
test("negative views of a PyTorch file have PyTorch's sign, in every kind of number", async () => {
  const checkpoint = await loadCheckpoint(new URL("./__fixtures__/negated.pth", import.meta.url));
  const read = async (name: string) => [...((await checkpoint.read(name)).data as TypedArray)];
  expect(await read("neg")).toEqual([-1, -1, -1]);
  expect(await read("z")).toEqual([-0, Number.NaN, 2, Number.NEGATIVE_INFINITY]);
  expect(await read("h")).toEqual([-0, -1.5]);
  expect(await read("b")).toEqual([-0, -1.5]);
  expect(await read("u")).toEqual([255, 0, 1]);
  expect(await read("imag")).toEqual([-0, -3, -1, -4, -2, -5]); // [3, 2]
  expect([...(await checkpoint.readExact("i")).data]).toEqual([-1n, 2n, -(2n ** 63n)]);
  expect(await read("neg")).toEqual([-1, -1, -1]); // the second time too
  await checkpoint.close();
});

const ones = new Uint8Array(new Float32Array([1, 1]).buffer);

function load(metadata: Uint8Array, type = "FloatStorage", count = 2) {
  const x = tensor({ type, count, shape: [2], strides: [1], metadata });
  return loadCheckpoint(archive(pickle(dict([text("x"), x])), { 0: ones.subarray(0, count * 4) }));
}

test("metadata that change nothing are read over, what is not known is refused by name", async () => {
  for (const metadata of [
    bytes("N"),
    dict(),
    dict([text("neg"), bytes(0x89)]),
    dict([text("conj"), bytes(0x89)]),
    call(global("collections", "OrderedDict")),
  ])
    expect([...(await (await load(metadata)).read("x")).data]).toEqual([1, 1]);
  for (const [metadata, message] of [
    [dict([text("conj"), bytes(0x88)]), /a tensor with "conj", .*resolve_conj/],
    [dict([text("npu_format"), bytes(0x88)]), /a tensor with "npu_format"/],
    [text("neg"), /by what is no dict/],
  ] as const) {
    const error = await load(metadata).catch((thrown: unknown) => thrown);
    expect(DmaeError.isInstance(error, "file")).toBe(true);
    expect(String(error)).toMatch(message);
  }
});

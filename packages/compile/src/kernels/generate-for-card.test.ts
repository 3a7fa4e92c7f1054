import { DmaeError } from "@dmae/core";
import { expect, it, vi } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { deviceFor } from "../device/device.ts";
import { binary, unary } from "../graph/build.ts";
import { Graph } from "../graph/graph.ts";
import { findCCompiler } from "./c-compiler.ts";
import { buildForCard } from "./cuda-library.ts";
import { generateKernels } from "./generate.ts";

// A card that is there as far as these two tell.
vi.mock("../device/device.ts", () => ({ deviceFor: vi.fn(async () => ({ device: {} })) }));
vi.mock("./cuda-library.ts", () => ({ buildForCard: vi.fn(async () => "operators.node") }));
const warn = vi.spyOn(console, "warn").mockImplementation(() => {});

const compiler = await findCCompiler();
const cuda = { provider: "cuda" } as const;
const demanded = { ...cuda, kernels: "generated" } as const;

/** A graph that is worth kernels. */
function program() {
  const g = new Graph();
  const x = g.input("x", "float32", [1024, 1024]);
  return { graph: g, outputs: [binary(g, "Mul", unary(g, "Exp", x), x)] };
}

it.skipIf(!compiler)("makes kernels for the card where steps run on it", async () => {
  const made = await generateKernels("test", program, cuda, true);
  expect(made?.path).toBe("operators.node");
  expect(made?.fused.library.deviceSource("")).toContain("__global__");
  expect((await generateKernels("test", program, cuda, false))?.fused.count).toBe(1);
  const int8 = { ...cuda, precision: "int8" };
  expect(await generateKernels("test", program, int8, false)).toBeNull();
  expect(await generateKernels("test", program, { ...cuda, kernels: "standard" }, true)).toBeNull();
  expect((await generateKernels("test", program, demanded, false))?.fused.count).toBe(1);
});

it.skipIf(!compiler)(
  "reports what is missing once, or throws it where kernels were asked for",
  async () => {
    const missing = new DmaeError("unsupported", "kernels: no NVRTC; link it");
    vi.mocked(buildForCard).mockRejectedValue(missing);
    expect(await generateKernels("test", program, cuda, true)).toBeNull();
    expect(await generateKernels("test", program, cuda, true)).toBeNull();
    expect(warn.mock.calls).toEqual([
      ["test: working without generated kernels: kernels: no NVRTC; link it"],
    ]);
    await expect(generateKernels("test", program, demanded, true)).rejects.toBe(missing);
  },
);

it.skipIf(!compiler)("leaves kernels out where the card's memory cannot be used", async () => {
  const reason = "CUDA failure 35: CUDA driver version is insufficient";
  vi.mocked(deviceFor).mockResolvedValue({ reason });
  expect(await generateKernels("test", program, cuda, true)).toBeNull();
  const error = await failure(() => generateKernels("test", program, demanded, true));
  expect(error.code).toBe("unsupported");
  expect(error.message).toContain(reason);
  expect(error.message).toContain("install NVIDIA's driver 580 or newer");
});

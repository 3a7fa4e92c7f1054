import { describe, expect, it } from "vitest";
import { type Card, codePath, parseHardware } from "./cards.ts";
import { diagnose, type Facts } from "./diagnose.ts";

const cuda = {
  cuda: "12.5.1",
  cudnn: "9",
  computeCapabilities: ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"],
};
const h100: Card = { name: "NVIDIA H100 80GB HBM3", computeCapability: "9.0", memory: 81_559 };
const rtx4090: Card = { name: "NVIDIA GeForce RTX 4090", computeCapability: "8.9", memory: 24_564 };
const t4: Card = { name: "Tesla T4", computeCapability: "7.5", memory: 15_360 };

/** A machine on which all is well, with these cards and this driver. */
function machine(
  cards: readonly Card[],
  driver: { version: string; cuda: string } | undefined,
): Facts {
  return {
    platform: { value: "Linux on x64, glibc 2.36" },
    node: { version: "22.12.0", hasLegacyUtil: true },
    installed: {
      value: { folder: "/p", version: "4.22.0", sources: "", addon: "", original: "", nodeApi: 8 },
    },
    compiler: { value: "g++ 12" },
    addon: { tensorflow: "2.18.1", build: "cuda", folder: "/t", recipe: "" },
    current: true,
    tensorflow: {
      value: { folder: "/t", version: "2.18.1", build: "cuda", cuda, cudaFolders: {} },
    },
    loaded: { version: "2.18.1", gpu: cards.length > 0, product: [19, 22, 43, 50] },
    libraries: [{ name: "libcudnn.so.9", path: "/t/libcudnn.so.9", release: "9.3.0.75" }],
    hardware: { cards, ...(driver && { driver }) },
  };
}

const statuses = (facts: Facts) =>
  Object.fromEntries(diagnose(facts).map(({ name, status }) => [name, status]));
const check = (facts: Facts, name: string) => diagnose(facts).find((each) => each.name === name);

describe("codePath", () => {
  it("follows the rule of machine code within a generation, portable code upwards", () => {
    expect(codePath(cuda, t4)).toBe("machine code"); // sm_70 on 7.5
    expect(codePath(cuda, rtx4090)).toBe("machine code"); // sm_89
    expect(codePath(cuda, { ...t4, computeCapability: "8.6" })).toBe("machine code"); // sm_80 on 8.6
    expect(codePath(cuda, h100)).toBe("compiled by the driver at first use"); // compute_90
    expect(codePath(cuda, { ...h100, computeCapability: "12.0" })).toBe(
      "compiled by the driver at first use",
    );
    expect(codePath(cuda, { ...t4, computeCapability: "5.2" })).toBe("none");
    expect(
      codePath({ ...cuda, computeCapabilities: ["sm_86"] }, { ...t4, computeCapability: "8.0" }),
    ).toBe("none");
  });
});

describe("diagnose", () => {
  it("finds nothing wrong with a 4090 or a T4 on a driver of the CUDA 12 series", () => {
    for (const card of [rtx4090, t4]) {
      expect(
        Object.values(statuses(machine([card], { version: "535.183.01", cuda: "12.2" }))),
      ).not.toContain("failure");
      expect(statuses(machine([card], { version: "535.183.01", cuda: "12.2" })).card).toBe("ok");
    }
  });

  it("asks a driver that compiles portable code to know the toolkit that wrote it", () => {
    expect(check(machine([h100], { version: "535.183.01", cuda: "12.2" }), "card")).toEqual({
      name: "card",
      status: "failure",
      found:
        "NVIDIA H100 80GB HBM3 (9.0, 81559 MiB): compiled by the driver at first use, for which the driver must know CUDA 12.5.1, got 12.2",
      fix: "install NVIDIA's driver 555 or newer",
    });
    expect(check(machine([h100], { version: "570.86.15", cuda: "12.8" }), "card")?.status).toBe(
      "warning",
    );
  });

  it("names the command for a missing driver, an old one, an unused card and an idle GPU", () => {
    expect(check(machine([], undefined), "driver")).toMatchObject({
      status: "failure",
      found: "no NVIDIA driver: TensorFlow uses the CPU",
    });
    expect(check(machine([t4], { version: "470.256.02", cuda: "11.4" }), "driver")?.status).toBe(
      "failure",
    );
    const onCpu = machine([t4], { version: "555.42.06", cuda: "12.5" });
    const cpu = {
      ...onCpu,
      tensorflow: { value: { folder: "/t", version: "2.18.1", build: "cpu", cudaFolders: {} } },
    } as Facts;
    expect(check(cpu, "cards")).toMatchObject({
      status: "warning",
      fix: "npx @dmae/native link tensorflow --gpu",
    });
    expect(
      statuses({ ...onCpu, loaded: { version: "2.18.1", gpu: false, product: [19, 22, 43, 50] } })
        .device,
    ).toBe("failure");
    const broken = { ...onCpu, libraries: [{ name: "libcudnn.so.9", problem: "cannot open" }] };
    expect(check(broken, "libraries")?.found).toBe("libcudnn.so.9: cannot open");
  });

  it("does not take wrong numbers, a crash, or a Node without the old functions for health", () => {
    const facts = machine([], undefined);
    expect(
      statuses({ ...facts, loaded: { version: "2.18.1", gpu: false, product: [19, 22, 43, 51] } })
        .load,
    ).toBe("failure");
    expect(
      check({ ...facts, loaded: { failure: "ended by SIGILL: ", details: "" } }, "load")?.found,
    ).toContain("SIGILL");
    expect(
      check({ ...facts, node: { version: "24.9.0", hasLegacyUtil: false } }, "node")?.fix,
    ).toContain("register");
    expect(statuses({ ...facts, compiler: { problem: "none", fix: "apt" } }).compiler).toBe(
      "warning",
    );
    expect(
      statuses({ ...facts, addon: "none", compiler: { problem: "none", fix: "apt" } }).compiler,
    ).toBe("failure");
  });
});

describe("parseHardware", () => {
  it("reads both forms of the overview", () => {
    const list =
      "NVIDIA GeForce RTX 4090, 8.9, 24564, 550.54.15\nTesla T4, 7.5, 15360, 550.54.15\n";
    const overview =
      "| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4     |";
    expect(parseHardware(list, overview)).toEqual({
      driver: { version: "550.54.15", cuda: "12.4" },
      cards: [rtx4090, t4],
    });
    expect(parseHardware(list, "CUDA Version        : 12.8").driver?.cuda).toBe("12.8");
    expect(parseHardware("", "")).toEqual({ cards: [] });
  });
});

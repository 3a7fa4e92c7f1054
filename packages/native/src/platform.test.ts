import { describe, expect, it } from "vitest";
import { installCompiler, runsWheel, supportedMachine } from "./platform.ts";

const here = { system: "linux", machine: "x64", glibc: "2.36", avx: true };

describe("supportedMachine", () => {
  it("takes Linux with glibc on x64 and arm64", () => {
    expect(supportedMachine("link", here)).toBe("x64");
    expect(supportedMachine("link", { ...here, machine: "arm64" })).toBe("arm64");
  });

  it("says what to do elsewhere", () => {
    expect(() => supportedMachine("link", { ...here, system: "darwin" })).toThrow(/npm rebuild/);
    expect(() => supportedMachine("link", { ...here, machine: "ppc64" })).toThrow(
      /got linux on ppc64/,
    );
    expect(() => supportedMachine("link", { ...here, glibc: undefined })).toThrow(
      /musl \(Alpine\); use an image/,
    );
    expect(() => supportedMachine("link", { ...here, avx: false })).toThrow(/AVX/);
  });
});

describe("runsWheel", () => {
  it("compares the C library with the wheel's tag, as numbers", () => {
    expect(runsWheel("tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl", "2.26")).toBe(
      false,
    );
    expect(runsWheel("tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl", "2.27")).toBe(true);
    expect(runsWheel("x-1-py3-none-manylinux_2_5_x86_64.whl", "2.17")).toBe(true);
    expect(runsWheel("x-1-py3-none-manylinux2014_x86_64.whl", "2.17")).toBe(true);
  });
});

describe("installCompiler", () => {
  it("knows the distribution's command", () => {
    expect(installCompiler("ID=ubuntu\nID_LIKE=debian\n")).toBe("sudo apt-get install -y g++");
    expect(installCompiler('ID="rocky"\nID_LIKE="rhel centos fedora"\n')).toBe(
      "sudo dnf install -y gcc-c++",
    );
    expect(installCompiler("ID=arch\n")).toBe("sudo pacman -S gcc");
    expect(installCompiler('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n')).toBe(
      "sudo zypper install -y gcc-c++",
    );
    expect(installCompiler("")).toMatch(/g\+\+ 9/);
  });
});

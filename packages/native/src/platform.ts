import { existsSync, readFileSync } from "node:fs";
import { NativeError } from "./errors.ts";

/** A processor for which there are TensorFlow wheels. */
export type Machine = "x64" | "arm64";

/** What of this machine decides which wheels run on it. */
export interface Platform {
  readonly system: string;
  readonly machine: string;
  /** The release of the GNU C library; undefined on musl (Alpine) and outside Linux. */
  readonly glibc: string | undefined;
  /** False where /proc/cpuinfo lists no AVX, without which the x64 wheels stop with an illegal instruction. */
  readonly avx: boolean;
}

/** Describes the machine that runs this process. */
export function currentPlatform(): Platform {
  return {
    system: process.platform,
    machine: process.arch,
    glibc: glibcVersion(),
    avx:
      process.arch !== "x64" ||
      !existsSync("/proc/cpuinfo") ||
      / avx /.test(readFileSync("/proc/cpuinfo", "utf8")),
  };
}

function glibcVersion(): string | undefined {
  if (process.platform !== "linux") return undefined;
  const { header } = process.report.getReport() as unknown as {
    header: { glibcVersionRuntime?: string };
  };
  return header.glibcVersionRuntime;
}

/** The machine's name in the table of wheels, or an error that says what to do instead. */
export function supportedMachine(caller: string, platform = currentPlatform()): Machine {
  const { system, machine, glibc, avx } = platform;
  const rule = `${caller}: TensorFlow wheels need Linux on x64 or arm64 with the GNU C library`;
  if (system !== "linux" || (machine !== "x64" && machine !== "arm64")) {
    throw new NativeError(
      "platform",
      `${rule}, got ${system} on ${machine}`,
      "use the addon that @tensorflow/tfjs-node ships (npm rebuild @tensorflow/tfjs-node), or WSL 2 on Windows",
    );
  }
  if (glibc === undefined) {
    throw new NativeError(
      "platform",
      `${rule}, got musl (Alpine)`,
      "use an image with glibc, such as node:22-bookworm",
    );
  }
  if (!avx) {
    throw new NativeError(
      "platform",
      `${caller}: the x64 wheels need a processor with AVX, got one without`,
    );
  }
  return machine;
}

/** `manylinux_2_27` in a wheel's name asks for glibc 2.27: true when this machine's is that or newer. */
export function runsWheel(file: string, glibc: string): boolean {
  const wanted = /manylinux_(\d+)_(\d+)/.exec(file);
  if (wanted === null) return true;
  const [major = 0, minor = 0] = glibc.split(".").map(Number);
  return major > Number(wanted[1]) || (major === Number(wanted[1]) && minor >= Number(wanted[2]));
}

/** The command that installs a C++ compiler on this distribution. */
export function installCompiler(release = readRelease()): string {
  const like = `${/^ID=(.*)$/m.exec(release)?.[1] ?? ""} ${/^ID_LIKE=(.*)$/m.exec(release)?.[1] ?? ""}`;
  if (/debian|ubuntu/.test(like)) return "sudo apt-get install -y g++";
  if (/fedora|rhel|centos|amzn/.test(like)) return "sudo dnf install -y gcc-c++";
  if (/suse/.test(like)) return "sudo zypper install -y gcc-c++";
  if (/arch/.test(like)) return "sudo pacman -S gcc";
  return "install g++ 9 or newer (or set CXX)";
}

function readRelease(): string {
  return existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
}

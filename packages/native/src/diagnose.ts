import { atLeast, type Card, codePath, type NvidiaHardware } from "./cards.ts";
import type { Check } from "./check.ts";
import type { OnnxRuntimeFacts } from "./onnxruntime/diagnose.ts";
import type { LoadFailure } from "./probe.ts";
import { type AddonManifest, type InstalledPackage, supportedPackage } from "./tensorflow/addon.ts";
import type { CudaLibrary } from "./tensorflow/cuda-libraries.ts";
import type { LoadedAddon } from "./tensorflow/probe.ts";
import type { CudaBuild, TensorFlow } from "./tensorflow/tensorflow.ts";

/** A value, or why there is none: the message and the command that mends it. */
export type Found<Value> =
  | { readonly value: Value }
  | { readonly problem: string; readonly fix?: string };

/** Everything that the doctor looked at; `diagnose` judges it without looking further. */
export interface Facts {
  readonly platform: Found<string>;
  readonly node: { readonly version: string; readonly hasLegacyUtil: boolean };
  readonly installed: Found<InstalledPackage>;
  readonly compiler: Found<string>;
  /** `none`: no file. `foreign`: not one of ours. */
  readonly addon: AddonManifest | "none" | "foreign";
  /** True when the addon was made from the sources now installed. */
  readonly current: boolean;
  readonly tensorflow?: Found<TensorFlow>;
  readonly loaded?: (LoadedAddon & { readonly product: readonly number[] }) | LoadFailure;
  readonly libraries: readonly CudaLibrary[];
  readonly hardware: NvidiaHardware;
  /** Absent where onnxruntime-node is not installed. */
  readonly onnxruntime?: OnnxRuntimeFacts;
}

const relink = "npx @dmae/native link tensorflow";

/** The checks that do not depend on a runtime. */
export const commonChecks = ({ platform, node }: Facts): readonly Check[] => [
  found("platform", platform, (text) => text),
  { name: "node", status: "ok", found: `Node ${node.version}` },
];

/** The doctor's judgement of TensorFlow: pure, so that cards that are not here can be tested. */
export function diagnose(facts: Facts): readonly Check[] {
  return [
    found("platform", facts.platform, (text) => text),
    nodeCheck(facts),
    found(
      "package",
      facts.installed,
      ({ folder }) => `@tensorflow/tfjs-node ${supportedPackage} in ${folder}`,
    ),
    compilerCheck(facts),
    addonCheck(facts),
    ...(facts.tensorflow ? [withFix(found("tensorflow", facts.tensorflow, describe), relink)] : []),
    ...(facts.loaded ? [loadCheck(facts.loaded)] : []),
    ...gpuChecks(facts),
  ];
}

function found<Value>(name: string, fact: Found<Value>, show: (value: Value) => string): Check {
  if ("value" in fact) return { name, status: "ok", found: show(fact.value) };
  return failure(name, fact.problem, fact.fix);
}

function failure(name: string, text: string, fix?: string): Check {
  return { name, status: "failure", found: text, ...(fix !== undefined && { fix }) };
}

function withFix(check: Check, fix: string): Check {
  return check.status === "failure" ? { fix, ...check } : check;
}

function describe({ version, folder, cuda }: TensorFlow): string {
  const build = cuda
    ? `CUDA ${cuda.cuda}, cuDNN ${cuda.cudnn}, ${cuda.computeCapabilities.join(" ")}`
    : "CPU build";
  return `TensorFlow ${version} (${build}) in ${folder}`;
}

function nodeCheck({ node }: Facts): Check {
  const name = "node";
  if (node.hasLegacyUtil) return { name, status: "ok", found: `Node ${node.version}` };
  return {
    name,
    status: "warning",
    found: `Node ${node.version} has no util.isNullOrUndefined, which tf.topk and others of tfjs-node call`,
    fix: 'import "@dmae/native/register" first, or node --import @dmae/native/register',
  };
}

/** The compiler is needed for linking alone. */
function compilerCheck({ compiler, addon }: Facts): Check {
  const check = found("compiler", compiler, (text) => text);
  return check.status === "failure" && typeof addon === "object"
    ? { ...check, status: "warning" }
    : check;
}

function addonCheck({ addon, current }: Facts): Check {
  const name = "addon";
  if (addon === "none") return failure(name, "none", relink);
  if (addon === "foreign") {
    return {
      name,
      status: "warning",
      found: "not linked by this package (the one tfjs-node ships loads TensorFlow 2.9.1)",
      fix: relink,
    };
  }
  const text = `linked to TensorFlow ${addon.tensorflow} (${addon.build})`;
  if (!current)
    return {
      name,
      status: "warning",
      found: `${text}, from other sources than are installed`,
      fix: relink,
    };
  return { name, status: "ok", found: text };
}

function loadCheck(loaded: NonNullable<Facts["loaded"]>): Check {
  if ("failure" in loaded) return failure("load", loaded.failure, `${relink} --force`);
  if (loaded.product.join() !== "19,22,43,50") {
    return failure(
      "load",
      `[[1,2],[3,4]] x [[5,6],[7,8]] came out as ${loaded.product.join()}`,
      `${relink} --force`,
    );
  }
  return {
    name: "load",
    status: "ok",
    found: `TensorFlow ${loaded.version} multiplies on the ${loaded.gpu ? "GPU" : "CPU"}`,
  };
}

function gpuChecks(facts: Facts): Check[] {
  const { driver, cards } = facts.hardware;
  const cuda =
    facts.tensorflow && "value" in facts.tensorflow ? facts.tensorflow.value.cuda : undefined;
  if (cuda === undefined) {
    if (cards.length === 0) return [{ name: "cards", status: "ok", found: "no NVIDIA card" }];
    const names = cards.map((card) => card.name).join(", ");
    return [
      {
        name: "cards",
        status: "warning",
        found: `${names}, unused by a CPU build`,
        fix: `${relink} --gpu`,
      },
    ];
  }
  const libraries = libraryCheck(facts.libraries);
  if (driver === undefined) {
    return [
      libraries,
      failure(
        "driver",
        "no NVIDIA driver: TensorFlow uses the CPU",
        "install NVIDIA's driver 555 or newer",
      ),
    ];
  }
  return [
    libraries,
    driverCheck(cuda, facts.hardware),
    ...(cards.length === 0 ? [failure("cards", "the driver lists none", "nvidia-smi -L")] : []),
    ...cards.map((card) => cardCheck(cuda, card, driver.cuda)),
    ...deviceCheck(facts.loaded),
  ];
}

function libraryCheck(libraries: readonly CudaLibrary[]): Check {
  const broken = libraries.filter((library) => library.problem !== undefined);
  if (broken.length > 0) {
    return failure(
      "libraries",
      broken.map(({ name, problem }) => `${name}: ${problem}`).join("; "),
      `${relink} --gpu`,
    );
  }
  const shown = libraries.map(({ name, release }) => (release ? `${name} ${release}` : name));
  return { name: "libraries", status: "ok", found: shown.join(", ") };
}

/** Within CUDA 12 an older driver runs newer toolkits' machine code; 525.60 is the first of the series. */
function driverCheck({ cuda }: CudaBuild, { driver }: NvidiaHardware): Check {
  const text = `driver ${driver!.version}${driver!.cuda ? ` (CUDA ${driver!.cuda})` : ""}`;
  if (atLeast(driver!.version, "525.60")) return { name: "driver", status: "ok", found: text };
  return failure(
    "driver",
    `${text} is too old for CUDA ${cuda}`,
    "install NVIDIA's driver 555 or newer",
  );
}

function cardCheck(build: CudaBuild, card: Card, driverCuda: string | undefined): Check {
  const path = codePath(build, card);
  const text = `${card.name} (${card.computeCapability}, ${card.memory} MiB): ${path}`;
  if (path === "none")
    return failure("card", text, `choose another TensorFlow: ${relink} --gpu --tensorflow VERSION`);
  if (path === "machine code") return { name: "card", status: "ok", found: text };
  if (driverCuda !== undefined && !atLeast(driverCuda, build.cuda)) {
    return failure(
      "card",
      `${text}, for which the driver must know CUDA ${build.cuda}, got ${driverCuda}`,
      "install NVIDIA's driver 555 or newer",
    );
  }
  return {
    name: "card",
    status: "warning",
    found: `${text}, which takes from minutes to half an hour`,
    fix: "export CUDA_CACHE_MAXSIZE=4294967296, so that later starts find it done",
  };
}

function deviceCheck(loaded: Facts["loaded"]): Check[] {
  if (loaded === undefined || "failure" in loaded || loaded.gpu) return [];
  return [
    failure(
      "device",
      "TensorFlow uses the CPU in spite of the card",
      "TF_CPP_MIN_LOG_LEVEL=0 npx @dmae/native doctor",
    ),
  ];
}

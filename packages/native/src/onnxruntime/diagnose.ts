import { atLeast, type NvidiaHardware } from "../cards.ts";
import type { Check } from "../check.ts";
import type { LoadFailure } from "../probe.ts";
import { damage, type ProviderManifest, readProviderManifest } from "./installed.ts";
import type { OnnxRuntimePackage } from "./package.ts";
import { explainCuda, probeSession, type RanSession } from "./probe.ts";

/** What the doctor saw of an installed onnxruntime-node. */
export interface OnnxRuntimeFacts {
  readonly installed: OnnxRuntimePackage;
  /** What `link onnxruntime --gpu` recorded, and what no longer fits it. */
  readonly provider?: { readonly manifest: ProviderManifest; readonly damage?: string };
  /** A session on the CPU. */
  readonly cpu: RanSession | LoadFailure;
  /** A session on the card; only tried where a provider is linked. */
  readonly cuda?: RanSession | LoadFailure;
}

const relink = "npx @dmae/native link onnxruntime --gpu";

/** Looks at an installed onnxruntime-node and runs a session on each provider. */
export async function gatherOnnxRuntime(installed: OnnxRuntimePackage): Promise<OnnxRuntimeFacts> {
  const manifest = await readProviderManifest(installed.libraries);
  const cpu = await probeSession(installed.folder, "cpu");
  if (manifest === undefined) return { installed, cpu };
  const broken = await damage(installed.libraries, manifest);
  const provider = { manifest, ...(broken !== undefined && { damage: broken }) };
  return { installed, provider, cpu, cuda: await probeSession(installed.folder, "cuda") };
}

/** The doctor's judgement of onnxruntime-node. */
export function diagnoseOnnxRuntime(facts: OnnxRuntimeFacts, hardware: NvidiaHardware): Check[] {
  const { installed, provider } = facts;
  const found = `onnxruntime-node ${installed.version} in ${installed.folder}`;
  const checks: Check[] = [{ name: "onnxruntime", status: "ok", found }];
  checks.push(sessionCheck("session", "CPU", facts.cpu, "npm rebuild onnxruntime-node"));
  if (provider === undefined) return [...checks, ...unusedCards(hardware)];
  checks.push(providerCheck(provider, installed), ...driverCheck(hardware));
  if (facts.cuda === undefined) return checks;
  const { fix } =
    "failure" in facts.cuda ? explainCuda(textOf(facts.cuda)) : { fix: `${relink} --force` };
  return [...checks, sessionCheck("cuda", "card", facts.cuda, fix)];
}

const textOf = ({ details, failure }: LoadFailure) => `${details}\n${failure}`;

function sessionCheck(
  name: string,
  place: string,
  session: RanSession | LoadFailure,
  fix: string,
): Check {
  if ("failure" in session) {
    const { problem } = explainCuda(textOf(session));
    const found = name === "cuda" ? problem : session.failure;
    return { name, status: "failure", found, fix };
  }
  const { product } = session;
  if (product.join() === "4,9")
    return { name, status: "ok", found: `ONNX Runtime computes on the ${place}` };
  return { name, status: "failure", found: `2 and 3 squared came out as ${product.join()}`, fix };
}

function unusedCards({ cards }: NvidiaHardware): Check[] {
  if (cards.length === 0) return [];
  const names = cards.map((card) => card.name).join(", ");
  return [
    { name: "provider", status: "warning", found: `${names}, unused without CUDA`, fix: relink },
  ];
}

function providerCheck(
  { manifest, damage: broken }: NonNullable<OnnxRuntimeFacts["provider"]>,
  { version }: OnnxRuntimePackage,
): Check {
  const name = "provider";
  if (manifest.version !== version)
    return {
      name,
      status: "failure",
      found: `made for onnxruntime-node ${manifest.version}, installed is ${version}`,
      fix: relink,
    };
  if (broken !== undefined) return { name, status: "failure", found: broken, fix: relink };
  const folders = [
    ...new Set(Object.values(manifest.libraries).map((path) => path.replace(/\/[^/]*$/, ""))),
  ];
  return { name, status: "ok", found: `CUDA 13, libraries of ${folders.join(", ")}` };
}

/** CUDA 13 needs a driver of the series 580. */
function driverCheck({ driver, cards }: NvidiaHardware): Check[] {
  const fix = "install NVIDIA's driver 580 or newer";
  if (driver === undefined)
    return [{ name: "driver", status: "failure", found: "no NVIDIA driver", fix }];
  const found = `driver ${driver.version}${driver.cuda ? ` (CUDA ${driver.cuda})` : ""}`;
  if (!atLeast(driver.version, "580.0"))
    return [{ name: "driver", status: "failure", found: `${found} is too old for CUDA 13`, fix }];
  const shown = cards.map((card) => `${card.name} (${card.computeCapability}, ${card.memory} MiB)`);
  return [{ name: "driver", status: "ok", found: [found, ...shown].join("; ") }];
}

import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { DmaeError } from "@dmae/core";
import { datasetName } from "@dmae/core/checks";
import { writeAtomically } from "@dmae/core/files";
import { certificateHtml } from "../certificate/certificate-html.ts";
import { issueCertificate } from "../certificate/issue-certificate.ts";
import { checksOf, claimOf } from "../certificate/report-lines.ts";
import {
  MOST_BYTES,
  parseCertificate,
  verifyCertificate,
} from "../certificate/verify-certificate.ts";
import { image, type LoadedImage } from "../classifier/image-source.ts";
import { readRegularFile } from "../files.ts";
import type { Arguments } from "./cli-arguments.ts";
import { loadData, loadModel } from "./cli-load.ts";
import { type OptionName, preprocessing } from "./cli-options.ts";
import type { Streams } from "./cli-rows.ts";
import { batchesOf, certificationOf, seedOf } from "./cli-settings.ts";

/** Whether `certify` is about one image instead of a data set. */
export const isOneImage = (args: Arguments): boolean =>
  args.has("image") || args.has("certificate") || args.has("key");

/** Options of `certify` that one image has no use for. */
const ofDataSets: readonly OptionName[] = [
  ...(["labels", "skip", "max", "shard", "log", "no-preflight", "skip-wrong-guess"] as const),
  ...(["attack", "attack-radius"] as const),
  ...([
    "adaptive",
    "relative-width",
    "max-samples",
    "pilot",
    "randomized",
    "noise-workers",
  ] as const),
];

/** Runs `certify` on one image, and writes its certificate. */
export async function certifyImage(args: Arguments, io: Streams): Promise<void> {
  args.refuse(ofDataSets, "is for data sets, not for one image; leave it out");
  const out = args.get("certificate");
  if (out !== undefined && existsSync(out))
    throw new DmaeError("file", `--certificate: ${out} exists already; choose another name`);
  if (out !== undefined && !existsSync(dirname(resolve(out))))
    throw new DmaeError("file", `--certificate: the folder of ${out} does not exist; make it`);
  const key = await textOf(args, "key");
  if (key !== undefined && out === undefined)
    throw new DmaeError("argument", "--key signs a certificate; name its file with --certificate");
  const { x, name, index, numClasses } = await chosenImage(args);
  const model = await loadModel(args);
  try {
    const certificate = await issueCertificate(model.classifier, x, {
      ...certificationOf(args),
      numClasses: args.get("num-classes") ?? numClasses,
      ...batchesOf(args),
      seed: await seedOf(args),
      signal: io.signal,
      model: model.name,
      fingerprint: model.fingerprint,
      ...{ name, index, key },
    });
    await io.out(`${claimOf(certificate)}\n`);
    if (out === undefined) return;
    const text = `${JSON.stringify(certificate, null, 2)}\n`;
    await writeAtomically("--certificate", out, text, { replace: false });
    if (!args.has("quiet")) io.error(`${out} written\n`);
  } finally {
    await model.dispose();
  }
}

/** Options of `verify` that a certificate without its model has no use for. */
const ofModels: readonly OptionName[] = [...preprocessing, "export", "workers", "max-samples"];

/** Runs `verify`. */
export async function verify(args: Arguments, io: Streams): Promise<void> {
  const [file, ...more] = args.files;
  if (file === undefined || more.length > 0)
    throw new DmaeError("argument", `verify: name one certificate, got ${args.files.length}`);
  const bytes = await readFile("verify", file, MOST_BYTES);
  const certificate = parseCertificate(bytes);
  const hasImage = args.has("image") || args.has("data");
  if (args.has("model") && !hasImage)
    throw new DmaeError("argument", "verify: --model needs the certified image: --image or --data");
  if (!args.has("model")) args.refuse(ofModels, "is for --model, which is missing");
  const publicKey = await textOf(args, "public-key");
  const x = hasImage ? (await chosenImage(args, certificate.input.shape)).x : undefined;
  const known = certificate.model.preprocessing?.[0];
  const model = args.has("model") ? await loadModel(args, known) : undefined;
  try {
    const { classifier, fingerprint } = model ?? {};
    const report = await verifyCertificate(certificate, {
      ...{ publicKey, x, classifier, fingerprint, signal: io.signal },
      ...args.pick("max-samples"),
    });
    await io.out(`${[claimOf(certificate), ...checksOf(report)].join("\n")}\n`);
    const html = args.get("html");
    if (html !== undefined) await writeAtomically("--html", html, certificateHtml(report));
  } finally {
    await model?.dispose();
  }
}

interface ChosenImage {
  readonly x: LoadedImage | { readonly data: ArrayLike<number>; readonly shape: readonly number[] };
  readonly name: string;
  readonly index: number;
  /** Classes of the data set that it is of. */
  readonly numClasses?: number;
}

/**
 * The image that `--image`, or `--data` with one of `--indices`, names.
 *
 * @param shape the certified one, to which a file is brought; by default the options say how
 */
async function chosenImage(args: Arguments, shape?: readonly number[]): Promise<ChosenImage> {
  const file = args.get("image");
  if ((file === undefined) === (args.get("data") === undefined))
    throw new DmaeError("argument", "one image is needed: --image, or --data with --indices");
  if (file !== undefined) {
    args.refuse(["split", "indices"], "is for --data, not for --image; leave it out");
    const size = args.get("image-size");
    const channels = args.get("image-channels") === "1" ? 1 : 3;
    const x = shape ? await inShape(file, shape, size) : await image(file, { size, channels });
    return { x, name: basename(file), index: 0 };
  }
  args.refuse(["image-channels"], "is for --image, not for --data; leave it out");
  const [index, ...more] = args.get("indices") ?? [];
  if (index === undefined || more.length > 0)
    throw new DmaeError("argument", "--indices must name the one image, e.g. --indices 17");
  const data = await loadData(args);
  if (!Number.isSafeInteger(index) || index < 0 || index >= data.length)
    throw new DmaeError(
      "argument",
      `--indices must be an integer of 0 to ${data.length - 1}, got ${index}`,
    );
  const { image: pixels } = await data.get(index);
  const x = { data: pixels, shape: data.imageShape };
  return { x, name: `${datasetName(data)} ${index}`, index, numClasses: data.numClasses };
}

/** Reads an image file so that it has the shape of a certificate: as it is if that fits, else resized. */
async function inShape(file: string, shape: readonly number[], asked?: number) {
  const [height = 0, width = 0, channels] = shape;
  if (shape.length !== 3 || (channels !== 1 && channels !== 3))
    throw new DmaeError(
      "file",
      `verify: the certificate is about [${shape}], which is no image file`,
    );
  if (asked !== undefined) return image(file, { size: asked, channels });
  const whole = await image(file, { channels });
  if (String(whole.shape) === String(shape)) return whole;
  const size = height === width ? height : ([height, width] as const);
  return image(file, { size, channels });
}

async function textOf(args: Arguments, option: "key" | "public-key"): Promise<string | undefined> {
  const file = args.get(option);
  if (file === undefined) return undefined;
  return new TextDecoder().decode(await readFile(`--${option}`, file, 2 ** 16));
}

async function readFile(caller: string, file: string, maxBytes: number): Promise<Uint8Array> {
  try {
    return await readRegularFile(file, maxBytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `${caller}: cannot read ${file}: ${reason}`, { file }, { cause });
  }
}

import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import schema from "../../certificate.schema.json";
import { version } from "../../package.json";
import { show } from "../checks.ts";
import { type Classifier, prepareClassifier, traitsOf } from "../classifier/classifier.ts";
import { type Image, type ImageInput, readImage } from "../classifier/image.ts";
import { checkRange, UNIT_RANGE } from "../classifier/range.ts";
import { inNode } from "../in-node.ts";
import { formatSeed } from "../noise/fresh-seed.ts";
import {
  type CertifyOptions,
  certify,
  certifyNames,
  certifySettings,
} from "../procedures/certify.ts";
import { classifierFingerprint } from "../run/fingerprint.ts";
import { noiseOf } from "../run/options.ts";
import type { CertificateFile, CertifiedModel } from "./certificate-file.ts";
import { hashOfInput } from "./input-hash.ts";
import { schemaProblem } from "./json-schema.ts";
import { signerOf } from "./signature.ts";

/**
 * Options of {@link issueCertificate}: those of `certify`, except for what a verifier could not repeat (noise of
 * your own, random classifiers) and the check of rows, which always runs.
 */
export interface IssueOptions extends Omit<CertifyOptions, "noise" | "randomized" | "checkRows"> {
  /** What you call the input, e.g. its file name. */
  readonly name?: string | undefined;
  /** What you call the model; default its own name. */
  readonly model?: string | undefined;
  /** What tells the classifier from others of its name, as for `certifyDataset`; needed again to verify. */
  readonly fingerprint?: string | undefined;
  /** Ed25519 private key in PEM, which signs the certificate; only in Node. */
  readonly key?: string | undefined;
}

const { noise: _, randomized: __, checkRows: ___, ...ofCertify } = certifyNames;
const names = {
  ...ofCertify,
  name: "text",
  model: "text",
  fingerprint: "text",
  key: "text",
} satisfies OptionNames<IssueOptions>;

/**
 * Certifies one input as `certify` does and returns the certificate as a file: the claim, the votes, the seed, hashes
 * of the input and of the model, and a signature if you give a key. Write it with `JSON.stringify`;
 * {@link verifyCertificate} and `smoothing-certify verify` check it.
 *
 * Leave `seed` out, so that nobody could know the noise when the input was chosen: a certificate with a seed that was
 * known before, or chosen among several, proves nothing about such inputs.
 *
 * @param classifier function or model; those of `fromOnnx` bring the checksum of their file
 * @param x one input without batch dimension
 * @returns a JSON object; see `certificate.schema.json`
 * @throws {DmaeError} "argument" for values out of range or a bad key, "classifier" as `certify`
 * @example
 * const classifier = await fromOnnx("model.onnx");
 * const certificate = await issueCertificate(classifier, await image("cat.png"), { sigma: 0.25, n: 10_000 });
 * await writeFile("certificate.json", JSON.stringify(certificate, null, 2));
 */
export async function issueCertificate(
  classifier: Classifier,
  x: ImageInput,
  options: IssueOptions,
): Promise<CertificateFile> {
  checkOptions(CALLER, options, names);
  const { name, model, fingerprint, key, ...run } = options;
  checkTexts({ name, model, fingerprint, key });
  const settings = certifySettings(CALLER, run);
  const { shape, range = UNIT_RANGE, index = 0, sound = false } = run;
  checkRange(CALLER, run.range);
  const sign = key === undefined ? undefined : await signerOf(CALLER, key);
  const { imageShape } = traitsOf(classifier);
  const image = await readImage(CALLER, x, { shape, imageShape, range });
  const input = { name, ...(await hashOfInput(CALLER, image)), range };
  const about = await modelOf(classifier, options, image);
  const { seed, ...found } = await certify(classifier, x, run);
  return finished(
    {
      $schema: schema.$id,
      procedure: "certify",
      prediction: found.prediction,
      radius: found.radius,
      norm: settings.norm ?? ((settings.distribution ?? "gaussian") === "gaussian" ? "l2" : "l1"),
      pLower: found.pLower,
      sigma: settings.sigma,
      distribution: settings.distribution ?? "gaussian",
      sound,
      n0: settings.n0,
      n: settings.n,
      alpha: settings.alpha,
      bound: settings.bound ?? "one-class",
      counts0: found.counts0,
      counts: found.counts,
      seed: formatSeed(seed!),
      index,
      generator: noiseOf({ ...run, seed }).generator,
      input,
      model: about,
      versions: { "@dmae/smoothing-certify": version, ...platform() },
      issued: new Date().toISOString(),
    },
    sign,
  );
}

const CALLER = "issueCertificate";

function checkTexts(texts: Readonly<Record<string, unknown>>): void {
  for (const [option, value] of Object.entries(texts))
    if (value !== undefined && (typeof value !== "string" || value.length > 4096))
      throw new DmaeError(
        "argument",
        `${CALLER}: ${option} must be a text of at most 4096 characters, got ${show(value).slice(0, 80)}`,
      );
}

/** What the certificate says about the classifier. */
async function modelOf(
  classifier: Classifier,
  { model, fingerprint, range = UNIT_RANGE, ...options }: IssueOptions,
  { shape, tensor }: Image,
): Promise<CertifiedModel> {
  const prepared = await prepareClassifier(CALLER, classifier, options, tensor);
  const { name, sha256, preprocessing } = prepared.traits;
  const settings = { imageShape: shape, range, given: fingerprint, randomized: false };
  return {
    name: model ?? name,
    sha256,
    fingerprint: await classifierFingerprint(prepared, settings),
    preprocessing,
  };
}

/** The certificate exactly as a file will hold it, signed if `sign` is given. */
function finished(
  certificate: CertificateFile,
  sign: ((certificate: CertificateFile) => CertificateFile) | undefined,
): CertificateFile {
  const plain = JSON.parse(JSON.stringify(certificate)) as CertificateFile; // without what is undefined
  const problem = schemaProblem(plain, schema);
  if (problem)
    throw new DmaeError("argument", `${CALLER}: no certificate can say this: ${problem}`);
  return sign ? sign(plain) : plain;
}

/** Node and its machine, or the browser. */
function platform(): Record<string, string> {
  if (inNode)
    return { node: process.versions.node, platform: `${process.platform} ${process.arch}` };
  return {
    browser: String((globalThis as { navigator?: Navigator }).navigator?.userAgent).slice(0, 1024),
  };
}

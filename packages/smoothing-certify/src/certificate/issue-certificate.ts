import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames } from "@dmae/core/checks";
import schema from "../../certificate.schema.json";
import { version } from "../../package.json";
import { show } from "../checks.ts";
import { type Classifier, prepareClassifier } from "../classifier/classifier.ts";
import { type ImageInput, readImage } from "../classifier/image.ts";
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
import type { CertificateFile } from "./certificate-file.ts";
import { hashOfInput } from "./input-hash.ts";
import { signed } from "./signature.ts";

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
  name: true,
  model: true,
  fingerprint: true,
  key: true,
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
  const caller = "issueCertificate";
  checkOptions(caller, options, names);
  const { name, model, fingerprint, key, ...run } = options;
  for (const [option, value] of Object.entries({ name, model, fingerprint, key }))
    if (value !== undefined && typeof value !== "string")
      throw new DmaeError("argument", `${caller}: ${option} must be a text, got ${show(value)}`);
  const {
    sigma,
    n0,
    n,
    alpha,
    bound = "one-class",
    distribution = "gaussian",
    norm,
  } = certifySettings(caller, run);
  const { shape, range = UNIT_RANGE, index = 0, sound = false } = run;
  checkRange(caller, run.range);
  const image = await readImage(caller, x, { ...(shape && { shape }), range });
  const input = {
    ...(name !== undefined && { name }),
    ...(await hashOfInput(caller, image)),
    range,
  };
  const prepared = await prepareClassifier(caller, classifier, run, image.tensor);
  const { prediction, radius, pLower, counts0, counts, seed } = await certify(classifier, x, run);
  const { traits } = prepared;
  const certificate: CertificateFile = {
    $schema: schema.$id,
    procedure: "certify",
    ...{ prediction, radius, norm: norm ?? (distribution === "gaussian" ? "l2" : "l1"), pLower },
    ...{ sigma, distribution, sound, n0, n, alpha, bound, counts0, counts },
    ...{ seed: formatSeed(seed!), index, generator: noiseOf({ ...run, seed }).generator },
    input,
    model: {
      ...((model ?? traits.name) !== undefined && { name: model ?? traits.name }),
      ...(traits.sha256 && { sha256: traits.sha256 }),
      fingerprint: await classifierFingerprint(prepared, {
        ...{ imageShape: image.shape, range, given: fingerprint, randomized: false },
      }),
      ...(traits.preprocessing && { preprocessing: traits.preprocessing }),
    },
    versions: { "@dmae/smoothing-certify": version, ...platform() },
    issued: new Date().toISOString(),
  };
  const plain = JSON.parse(JSON.stringify(certificate)) as CertificateFile; // without what is undefined
  return key === undefined ? plain : signed(caller, plain, key);
}

/** Node and its machine, or the browser. */
function platform(): Record<string, string> {
  if (inNode)
    return { node: process.versions.node, platform: `${process.platform} ${process.arch}` };
  return { browser: String((globalThis as { navigator?: Navigator }).navigator?.userAgent) };
}

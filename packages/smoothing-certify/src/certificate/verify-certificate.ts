import { DmaeError } from "@dmae/core";
import { checkOptions, type OptionNames, parseStrictJson } from "@dmae/core/checks";
import schema from "../../certificate.schema.json";
import { checkInteger, show } from "../checks.ts";
import { type Classifier, prepareClassifier } from "../classifier/classifier.ts";
import { type ImageInput, readImage } from "../classifier/image.ts";
import { checkRange } from "../classifier/range.ts";
import { inNode } from "../in-node.ts";
import { parseSeed } from "../noise/fresh-seed.ts";
import { certify } from "../procedures/certify.ts";
import { classifierFingerprint } from "../run/fingerprint.ts";
import { inDimension, noiseOf } from "../run/options.ts";
import { certificateOf } from "../statistics/certificate.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { CertificateFile } from "./certificate-file.ts";
import { hashOfInput } from "./input-hash.ts";
import { schemaProblem } from "./json-schema.ts";
import { isSignatureValid, publicKeyOf } from "./signature.ts";

/** Options of {@link verifyCertificate}: the more you give, the more is checked. */
export interface VerifyOptions {
  /** Ed25519 public key in PEM: the certificate must be signed with its private key. Only in Node. */
  readonly publicKey?: string | undefined;
  /** The input: it must be the certified one, number by number. */
  readonly x?: ImageInput | undefined;
  /** The classifier: the noise is drawn again, and its votes must be those of the certificate. Needs `x`. */
  readonly classifier?: Classifier | undefined;
  /** The `fingerprint` that the certificate was issued with, where it was. */
  readonly fingerprint?: string | undefined;
  /** Most noisy samples to draw again; default 1,000,000. */
  readonly maxSamples?: number | undefined;
  /** Stops the recount between two batches. */
  readonly signal?: AbortSignal | undefined;
}

/** What was checked about a certificate; whatever does not hold is an error, not a report. */
export interface CertificateReport {
  /** The certificate. Bound and radius follow from its votes; that was always checked. */
  readonly certificate: CertificateFile;
  /**
   * `"trusted"`: signed with the key that was given. `"unknown"`: the signature holds, but anybody can sign with a key of
   * their own. `"unchecked"`: signed, in a browser. `"none"`: not signed.
   */
  readonly signature: "trusted" | "unknown" | "unchecked" | "none";
  /** Whether the input was given, and is the certified one. */
  readonly isInputChecked: boolean;
  /** Whether the noise was drawn again and the classifier gave the same votes. */
  readonly isRecounted: boolean;
}

const CALLER = "verifyCertificate";
const names = {
  publicKey: true,
  x: true,
  classifier: true,
  fingerprint: "text",
  maxSamples: true,
  signal: "signal",
} satisfies OptionNames<VerifyOptions>;

/** Bytes that a certificate may have: ten million classes do not fit, a million do. */
export const MOST_BYTES = 2 ** 24;

/**
 * Checks a certificate of {@link issueCertificate}. By itself: that it follows its schema and that prediction, bound and
 * radius are what its votes give, with the same bounds that `certify` uses, rounded to the safe side; a valid signature where it
 * has one. With `x`: that it is about this input. With `x` and `classifier`: that the noise of its seed, drawn again,
 * gives the same votes.
 *
 * Without a trusted signature and without a recount, the votes are only the word of whoever wrote the file. A recount needs
 * the same arithmetic: votes on a decision boundary may differ between processors or versions of a
 * runtime; the error then says by how many.
 *
 * @param certificate text or bytes of a certificate, or the object
 * @throws {DmaeError} "file" for a certificate that does not hold, "argument" for bad options
 * @example
 * const report = await verifyCertificate(await readFile("certificate.json"), { publicKey });
 * console.log(report.certificate.radius, report.signature); // 0.41… trusted
 */
export async function verifyCertificate(
  certificate: string | Uint8Array | CertificateFile,
  options: VerifyOptions = {},
): Promise<CertificateReport> {
  checkOptions(CALLER, options, names);
  const { publicKey, x, classifier, maxSamples = 1_000_000 } = options;
  checkInteger(CALLER, "maxSamples", maxSamples);
  if (classifier !== undefined && x === undefined)
    throw new DmaeError("argument", `${CALLER}: classifier needs x, the certified input`);
  const read = parseCertificate(certificate);
  checkArithmetic(read);
  const signature = await checkSignature(read, publicKey);
  if (x !== undefined) await checkInput(read, x);
  if (classifier !== undefined) await recount(read, classifier, x!, { ...options, maxSamples });
  return {
    certificate: read,
    signature,
    isInputChecked: x !== undefined,
    isRecounted: classifier !== undefined,
  };
}

/** Reads a certificate and checks that it follows its schema. */
export function parseCertificate(given: string | Uint8Array | CertificateFile): CertificateFile {
  let value: unknown;
  try {
    const text = given instanceof Uint8Array ? decode(given) : given;
    if (typeof text === "string" && text.length > MOST_BYTES)
      throw new Error(`it may have ${MOST_BYTES} characters at most, got ${text.length}`);
    value = parseStrictJson(typeof text === "string" ? text : JSON.stringify(text), 8);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("file", `${CALLER}: it is no certificate: ${reason}`, {}, { cause });
  }
  const problem = schemaProblem(value, schema);
  if (problem) throw refused(problem);
  return value as CertificateFile;
}

function decode(bytes: Uint8Array): string {
  if (bytes.length > MOST_BYTES)
    throw new Error(`it may have ${MOST_BYTES} bytes at most, got ${bytes.length}`);
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** Throws unless everything that follows from the votes and settings is what they give. */
function checkArithmetic(certificate: CertificateFile): void {
  const { n0, n, counts0, counts, generator, prediction, radius, pLower } = certificate;
  const sum = (votes: readonly number[]) => votes.reduce((total, count) => total + count, 0);
  if (counts0.length !== counts.length)
    throw refused(
      `counts0 and counts must have a place for each class, got ${counts0.length} and ${counts.length}`,
    );
  if (sum(counts0) !== n0) throw refused(`counts0 must sum to n0 = ${n0}, got ${sum(counts0)}`);
  if (sum(counts) !== n) throw refused(`counts must sum to n = ${n}, got ${sum(counts)}`);
  const { noise, expected } = fromVotes(certificate);
  if (generator !== noise.generator)
    throw refused(`generator must be ${noise.generator}, got ${show(generator)}`);
  if (prediction !== expected.prediction)
    throw refused(
      `prediction must be ${expected.prediction}, as the votes give, got ${prediction}`,
    );
  checkNumber("radius", radius, expected.radius);
  checkNumber("pLower", pLower, expected.pLower);
}

/** The noise that a certificate claims to use, and what follows from its votes. */
function fromVotes(certificate: CertificateFile) {
  const { sigma, sound, distribution, counts0, counts } = certificate;
  const { input, seed: text } = certificate;
  const seed = parseSeed(text);
  if (seed === undefined)
    throw refused(`seed must be digits or a text in quotes, got ${show(text)}`);
  if (!Number.isSafeInteger(input.shape.reduce((product, length) => product * length, 1)))
    throw refused(`input.shape must be that of an input, got [${input.shape}]`);
  try {
    checkRange(CALLER, input.range);
    const run = { sigma, seed, distribution, sound };
    const settings = { ...certificate, ...inDimension(run, input.shape) };
    return { noise: noiseOf(run), expected: certificateOf(settings, counts0, counts) };
  } catch (cause) {
    if (!DmaeError.isInstance(cause)) throw cause;
    throw refused(`no certificate has its settings: ${cause.message}`, cause);
  }
}

/** Relative difference that other versions of the bounds may have, on the safe side. */
const ROUNDING = 1e-9;

function checkNumber(name: "radius" | "pLower", claimed: number, expected: number): void {
  if (claimed > expected)
    throw refused(`${name} must be at most ${expected}, as the votes give, got ${claimed}`);
  if (claimed < expected * (1 - ROUNDING))
    throw refused(`${name} must be ${expected}, as the votes give, got ${claimed}`);
}

async function checkSignature(
  certificate: CertificateFile,
  pem: string | undefined,
): Promise<CertificateReport["signature"]> {
  const { signature } = certificate;
  const wanted = pem === undefined ? undefined : await publicKeyOf(CALLER, pem);
  if (!signature && wanted !== undefined)
    throw refused("it is not signed, but a public key was given");
  if (!signature) return "none";
  if (!inNode) return "unchecked";
  if (wanted !== undefined && wanted !== signature.publicKey)
    throw refused(`it is signed with another key (${signature.publicKey}) than the one given`);
  if (await isSignatureValid(CALLER, certificate, signature))
    return wanted === undefined ? "unknown" : "trusted";
  throw refused("its signature does not hold: the file was changed after it was signed");
}

async function checkInput({ input }: CertificateFile, x: ImageInput): Promise<void> {
  const isBare = !(typeof x === "object" && x !== null && "shape" in x);
  const { shape, range } = input;
  const image = await readImage(CALLER, x, { ...(isBare && { shape }), range });
  const { sha256, ...found } = await hashOfInput(CALLER, image);
  if (String(found.shape) !== String(shape) || found.dtype !== input.dtype)
    throw refused(
      `it is about an input ${input.dtype} [${shape}], but the given one is ${found.dtype} [${found.shape}]`,
    );
  if (sha256 !== input.sha256)
    throw refused(
      `it is about another input: the SHA-256 of the given one is ${sha256}, that of the certificate ${input.sha256}`,
    );
}

/** Draws the noise again and counts the classifier's votes. */
async function recount(
  certificate: CertificateFile,
  classifier: Classifier,
  x: ImageInput,
  { maxSamples, fingerprint, signal }: VerifyOptions & { readonly maxSamples: number },
): Promise<void> {
  const { sigma, n0, n, alpha, bound, distribution, norm, sound, index, counts } = certificate;
  const { shape, range } = certificate.input;
  if (n0 + n > maxSamples)
    throw new DmaeError(
      "argument",
      `${CALLER}: a recount takes ${n0 + n} samples, more than maxSamples = ${maxSamples}; raise it`,
    );
  const isBare = !(typeof x === "object" && x !== null && "shape" in x);
  const common = { ...(isBare && { shape }), range, numClasses: counts.length };
  const image = await readImage(CALLER, x, common);
  const prepared = await prepareClassifier(CALLER, classifier, common, image.tensor);
  const { sha256, fingerprint: expected } = certificate.model;
  if (sha256 !== prepared.traits.sha256)
    throw refused(
      `it is about a model with SHA-256 ${sha256 ?? "unknown"}, that of the given one is ${prepared.traits.sha256 ?? "unknown"}`,
    );
  const { preprocessing = [] } = prepared.traits;
  if (canonicalJson(certificate.model.preprocessing ?? []) !== canonicalJson(preprocessing))
    throw refused(
      `its model.preprocessing must be ${canonicalJson(preprocessing)}, that of the given classifier`,
    );
  const run = { sigma, n0, n, alpha, bound, distribution, norm, sound, index, signal, ...common };
  const found = await certify(classifier, x, { ...run, seed: parseSeed(certificate.seed) });
  for (const name of ["counts0", "counts"] as const) {
    const moved = different(found[name], certificate[name]);
    if (moved > 0)
      throw refused(
        `${moved} votes of ${name} differ from those that the noise of its seed gives, by which class ${found.prediction} has radius ${found.radius}`,
      );
  }
  const settings = { imageShape: shape, range, given: fingerprint, randomized: false };
  const actual = await classifierFingerprint(prepared, settings);
  if (actual !== expected)
    throw refused(
      `it is about another model, or another preprocessing: the fingerprint of the given one is ${actual}, that of the certificate ${expected}`,
    );
}

/** Votes that would have to move to another class. */
function different(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, count, c) => sum + Math.max(0, count - b[c]!), 0);
}

function refused(problem: string, cause?: unknown): DmaeError {
  return new DmaeError("file", `${CALLER}: the certificate is refused: ${problem}`, {}, { cause });
}

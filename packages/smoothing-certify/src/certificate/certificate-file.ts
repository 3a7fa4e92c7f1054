import type { CheckedPreprocessing } from "../classifier/preprocessing.ts";
import type { Range } from "../classifier/range.ts";
import type { NoiseDistribution } from "../noise/noise-source.ts";
import type { BoundKind } from "../statistics/certificate.ts";
import type { Norm } from "../statistics/noises-and-norms.ts";

/**
 * A certificate as a file, for JSON: what is claimed about one input, the votes that it follows from, and all that
 * is needed to draw the noise again. Its schema comes with the package, as `certificate.schema.json`.
 */
export interface CertificateFile {
  /** Format and version: the address of the schema. */
  readonly $schema: string;
  /** How the votes were drawn; there is one procedure so far. */
  readonly procedure: "certify";
  /** The class, or `ABSTAIN` (-1). */
  readonly prediction: number;
  /** Certified radius in `norm`, in the units of the input; 0 when abstained. */
  readonly radius: number;
  /** Norm of the radius. */
  readonly norm: Norm;
  /** Lower bound on the probability of the guessed class. */
  readonly pLower: number;
  /** Standard deviation of the noise, in the units of the input. */
  readonly sigma: number;
  /** Law of the noise. */
  readonly distribution: NoiseDistribution;
  /** Whether the noise lies on the 8-bit grid, and the claim is about the model after rounding; see `soundNoise`. */
  readonly sound: boolean;
  /** Selection samples. */
  readonly n0: number;
  /** Estimation samples. */
  readonly n: number;
  /** Allowed probability of a wrong certificate. */
  readonly alpha: number;
  /** How the votes bound the probabilities. */
  readonly bound: BoundKind;
  /** Votes of the selection by class. */
  readonly counts0: readonly number[];
  /** Votes of the estimation by class. */
  readonly counts: readonly number[];
  /** Seed of the noise: digits for a number, a JSON string for a text. */
  readonly seed: string;
  /** Index of the input in the address of its noise. */
  readonly index: number;
  /** Generator and distribution of the noise. */
  readonly generator: string;
  /** The input. */
  readonly input: CertifiedInput;
  /** The classifier. */
  readonly model: CertifiedModel;
  /** Versions of the software that issued the certificate, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** When it was issued: ISO 8601, UTC. */
  readonly issued: string;
  /** Signature over everything else, where a key was given. */
  readonly signature?: CertificateSignature | undefined;
}

/** What a certificate says about its input. */
export interface CertifiedInput {
  /** What the issuer calls it. */
  readonly name?: string | undefined;
  /** Shape of the numbers that noise was added to. */
  readonly shape: readonly number[];
  /** Their type: float64 only where float32 cannot hold them. */
  readonly dtype: "float32" | "float64";
  /** Interval in which they lie. */
  readonly range: Range;
  /** SHA-256 of the text `float32[28,28,1]`, a line feed, and the numbers in row-major order, little-endian. */
  readonly sha256: string;
}

/** What a certificate says about its classifier. */
export interface CertifiedModel {
  /** What the issuer calls it. */
  readonly name?: string | undefined;
  /** SHA-256 of its file, where it was loaded from one. */
  readonly sha256?: string | undefined;
  /** Fingerprint as in logs: of what the classifier says of itself, and of its classes on 64 fixed images. */
  readonly fingerprint: string;
  /** What is done to noisy copies before the model, as far as the classifier says so. */
  readonly preprocessing?: readonly CheckedPreprocessing[] | undefined;
}

/** An Ed25519 signature (RFC 8032) over the rest of the certificate in canonical JSON (RFC 8785). */
export interface CertificateSignature {
  /** Always `"Ed25519"`. */
  readonly algorithm: "Ed25519";
  /** The 32 bytes of the public key, in hexadecimal. */
  readonly publicKey: string;
  /** The 64 bytes of the signature, in hexadecimal. */
  readonly value: string;
}

import type { KeyObject } from "node:crypto";
import { DmaeError } from "@dmae/core";
import { requireNode } from "../in-node.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { CertificateFile, CertificateSignature } from "./certificate-file.ts";

/** Signs certificates with an Ed25519 private key in PEM (PKCS #8); throws at once for what is no such key. */
export async function signerOf(
  caller: string,
  privateKey: string,
): Promise<(certificate: CertificateFile) => CertificateFile> {
  const { createPrivateKey, createPublicKey, sign } = await crypto(caller);
  const key = readKey(caller, "key", "private", () => createPrivateKey(privateKey));
  const publicKey = bytesOf(createPublicKey(key));
  return (certificate) => {
    const value = sign(null, signedBytes(certificate), key).toString("hex");
    const signature: CertificateSignature = { algorithm: "Ed25519", publicKey, value };
    return { ...certificate, signature };
  };
}

/** Whether the signature of a certificate is that of the key in it. */
export async function isSignatureValid(
  caller: string,
  certificate: CertificateFile,
  { publicKey, value }: CertificateSignature,
): Promise<boolean> {
  const { createPublicKey, verify } = await crypto(caller);
  const der = Buffer.concat([SPKI, Buffer.from(publicKey, "hex")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  return verify(null, signedBytes(certificate), key, Buffer.from(value, "hex"));
}

/** The 32 bytes of an Ed25519 public key in PEM (SPKI), in hexadecimal. */
export async function publicKeyOf(caller: string, pem: string): Promise<string> {
  const { createPublicKey } = await crypto(caller);
  if (/PRIVATE KEY/.test(pem))
    throw new DmaeError(
      "argument",
      `${caller}: publicKey must be a public key, got a private one; make it with openssl pkey -in key.pem -pubout`,
    );
  return bytesOf(readKey(caller, "publicKey", "public", () => createPublicKey(pem)));
}

/** Everything but the signature. */
function signedBytes({ signature: _, ...rest }: CertificateFile): Uint8Array {
  return new TextEncoder().encode(canonicalJson(rest));
}

/** What stands before the 32 bytes of an Ed25519 key in its DER form (RFC 8410). */
const SPKI = Uint8Array.from([48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0]);

const bytesOf = (key: KeyObject): string =>
  key.export({ format: "der", type: "spki" }).subarray(SPKI.length).toString("hex");

function readKey(
  caller: string,
  option: string,
  kind: "private" | "public",
  read: () => KeyObject,
): KeyObject {
  const rule = `${caller}: ${option} must be an Ed25519 ${kind} key in PEM, without a passphrase`;
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DmaeError("argument", `${rule}: ${reason}`, {}, { cause });
  }
  if (key.asymmetricKeyType === "ed25519") return key;
  throw new DmaeError(
    "argument",
    `${rule}, got ${key.asymmetricKeyType}; make one with openssl genpkey -algorithm ed25519 -out key.pem`,
  );
}

async function crypto(caller: string): Promise<typeof import("node:crypto")> {
  requireNode(caller, "signatures");
  return import("node:crypto");
}

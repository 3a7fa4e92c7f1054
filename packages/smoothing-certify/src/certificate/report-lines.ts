import type { CertificateFile } from "./certificate-file.ts";
import type { CertificateReport } from "./verify-certificate.ts";

/** What a certificate claims, as a sentence. */
export function claimOf({ prediction, radius, norm, alpha, sound }: CertificateFile): string {
  if (prediction < 0) return "The smoothed classifier abstains: nothing is claimed.";
  const centre = sound ? "the image whose pixels are the nearest k / 255" : "the certified one";
  return `With probability at least 1 - ${alpha} over the noise, the smoothed classifier predicts class ${prediction} at every input closer than ${radius} (${norm}) to ${centre}.`;
}

/** What the smoothed classifier of a certificate is, as a sentence. */
export function smoothingOf({ sigma, sound }: CertificateFile): string {
  const noise = `noise of standard deviation ${sigma}`;
  const input = sound
    ? `once ${noise} is added and each noisy pixel has been rounded to the nearest k / 255`
    : `under ${noise}`;
  return `The smoothed classifier answers with the class that the model gives most often ${input}.`;
}

/** What was checked about a certificate and what was not, a sentence each. */
export function checksOf({
  certificate,
  signature,
  isInputChecked,
  isRecounted,
}: CertificateReport): string[] {
  const key = certificate.signature?.publicKey;
  return [
    "Class, bound and radius are what the votes give, rounded to the safe side.",
    {
      trusted: `It is signed with the key that was given, ${key}.`,
      unknown: `It is signed with the key ${key}; nobody has vouched for that key.`,
      unchecked: "It is signed; the signature was not checked.",
      none: "It is not signed.",
    }[signature],
    isInputChecked
      ? "The input that was given is the certified one, number by number."
      : "The input was not compared.",
    isRecounted
      ? "The noise was drawn again, and the model that was given cast the same votes."
      : "The votes were not counted again: they are the word of whoever issued the certificate.",
  ];
}

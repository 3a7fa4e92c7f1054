import { generateKeyPairSync } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { pretrained } from "@dmae/models";
import { image, issueCertificate, verifyCertificate } from "@dmae/smoothing-certify";

const keys = generateKeyPairSync("ed25519");
const key = keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const publicKey = keys.publicKey.export({ type: "spki", format: "pem" }).toString();

const classifier = await pretrained("fashion-mnist-cr-0.25"); // or your own
const x = await image("shoe.jpg", { size: 28, channels: 1 });
const certificate = await issueCertificate(classifier, x, { sigma: 0.25, n: 1000, key });
await writeFile("certificate.json", JSON.stringify(certificate, null, 2));

const report = await verifyCertificate(await readFile("certificate.json"), {
  publicKey,
  x,
  classifier,
});
console.log(report);

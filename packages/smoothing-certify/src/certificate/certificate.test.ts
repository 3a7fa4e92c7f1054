import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { failure } from "../../../../testing/failure.ts";
import { halves } from "../__fixtures__/steps.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { CertificateFile } from "./certificate-file.ts";
import { certificateHtml } from "./certificate-html.ts";
import { issueCertificate } from "./issue-certificate.ts";
import { claimOf } from "./report-lines.ts";
import { verifyCertificate } from "./verify-certificate.ts";

/** Class 1 where the first of three pixels is above 0. */
const firsts = (batch: Float32Array, [n = 0]: number[]) =>
  Array.from({ length: n }, (_, i) => (batch[3 * i]! > 0 ? 1 : 0));
const pem = ({ publicKey, privateKey } = generateKeyPairSync("ed25519")) => ({
  publicKey: publicKey.export({ type: "spki", format: "pem" }) as string,
  privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
});
const x = [0.3];
const run = { sigma: 0.25, n: 2000, numClasses: 2 };
const certificate = await issueCertificate(halves, x, { ...run, seed: "s", name: "a.png" });
const message = async (work: Promise<unknown>) => (await failure(work, "file")).message;

/** Another value of the same kind for every leaf of a JSON value. */
function* changes(value: unknown, path: string[] = []): Generator<[string, unknown]> {
  if (Array.isArray(value) || (typeof value === "object" && value !== null)) {
    for (const [key, item] of Object.entries(value)) yield* changes(item, [...path, key]);
    return;
  }
  const other =
    typeof value === "number"
      ? [value + 1, value / 3 + 0.1, -1, 1e308]
      : typeof value === "boolean"
        ? [!value]
        : [`${value}x`, String(value).replace(/[0-9a-f]/, (c) => (c === "1" ? "2" : "1"))];
  for (const item of [...other, null, {}, undefined])
    if (item !== value) yield [path.join("."), item];
}

/** The certificate with the value at a path replaced, or removed. */
function changed(path: string, item: unknown, of = certificate): CertificateFile {
  const copy = structuredClone(of) as unknown as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop()!;
  const holder = keys.reduce((inner, key) => inner[key] as Record<string, unknown>, copy);
  if (item === undefined) delete holder[last];
  else holder[last] = item;
  return copy as unknown as CertificateFile;
}

const problem = (path: string, item: unknown, options = {}) =>
  verifyCertificate(changed(path, item), options).then(
    () => undefined,
    (error: Error) => error.message,
  );

/** Fields that only a signature, or the input and the model, can tell about. */
const wordOfIssuer = /^(input|model|versions|issued|seed$|index$)/;

describe("a certificate", () => {
  it("says what certify found; its numbers are those of scipy, its hash that of sha256sum", () => {
    // printf 'float64[1]\n\x33\x33\x33\x33\x33\x33\xd3\x3f' | sha256sum
    const sha256 = "6b10a18d7dd8e9a488a112ed1466576817dae4e5abc605ded73dbc5c067d1c5c";
    const input = { name: "a.png", shape: [1], dtype: "float64", sha256, range: [0, 1] };
    expect(certificate.input).toEqual(input);
    expect(certificate).toMatchObject({ prediction: 1, norm: "l2", n0: 100, n: 2000, seed: '"s"' });
    expect(certificate.counts).toEqual([227, 1773]);
    // scipy 1.17.1: p = beta.ppf(0.001, 1773, 228); 0.25 * norm.ppf(p)
    expect(certificate.pLower).toBeCloseTo(0.8630271775374445, 14);
    expect(certificate.radius).toBeCloseTo(0.2735053202152238, 14);
  });

  it("is verified by arithmetic, against its input, and by drawing its noise again", async () => {
    const text = JSON.stringify(certificate);
    const none = { signature: "none", isInputChecked: false, isRecounted: false };
    expect(await verifyCertificate(text)).toEqual({ certificate, ...none });
    const bytes = new TextEncoder().encode(text);
    expect(await verifyCertificate(bytes, { x })).toMatchObject({ isInputChecked: true });
    const recounted = await verifyCertificate(certificate, { x, classifier: halves });
    expect(recounted).toMatchObject({ isInputChecked: true, isRecounted: true });
  });

  it.each([
    ["two-class", { bound: "two-class" }],
    ["l1", { distribution: "laplace" }],
    ["linf", { norm: "linf" }],
    ["sound", { sound: true }],
    ["float32 and its own shape", {}],
  ] as const)("of another kind is verified: %s", async (_, more) => {
    const image = { data: Float32Array.of(1, 0, 1), shape: [1, 1, 3] };
    const found = await issueCertificate(firsts, image, { ...run, ...more, n: 200, index: 3 });
    expect(found).toMatchObject({ ...more, index: 3 });
    const report = await verifyCertificate(found, { x: image, classifier: firsts });
    expect(report.isRecounted).toBe(true);
  });

  it("of sound noise is about the model after rounding, and says so", async () => {
    const onGrid = (batch: Float32Array) =>
      batch.map((v) => (Math.abs(255 * v - Math.round(255 * v)) < 1e-3 ? 1 : 0));
    const found = await issueCertificate(onGrid, [0.2], { ...run, sound: true, n: 100 });
    expect(found.prediction).toBe(1); // without rounding, noise leaves the grid and the class is 0
    expect(claimOf(found)).toMatch(
      /closer than [\d.]+ \(l2\) to the image whose pixels are the nearest k \/ 255/,
    );
    const page = certificateHtml(await verifyCertificate(found));
    expect(page).toContain("each noisy pixel has been rounded to the nearest k / 255");
    const plain = certificateHtml(await verifyCertificate(certificate));
    expect(plain).toContain("the model gives most often under noise of standard deviation");
    expect(plain).not.toContain("k / 255");
  });

  it("that abstains claims nothing, and is one too", async () => {
    const found = await issueCertificate(halves, [0], { ...run, n: 100 });
    expect(found).toMatchObject({ prediction: -1, radius: 0 });
    await verifyCertificate(found, { x: [0], classifier: halves });
  });
});

it("that no reader would take is not issued", async () => {
  const issue = (more: object) => issueCertificate(halves, x, { ...run, n: 10, ...more });
  await expect(issue({ name: "a".repeat(4097) })).rejects.toThrow("name must be a text of at most");
  await expect(issue({ seed: "s".repeat(4097) })).rejects.toThrow("seed must have 1 to 4096");
});

describe("a changed certificate", () => {
  it("is refused by its schema and arithmetic, unless the field is the issuer's word", async () => {
    const accepted = new Set<string>();
    for (const [path, item] of changes(certificate))
      if ((await problem(path, item)) === undefined) accepted.add(path);
    for (const path of accepted) expect(path).toMatch(wordOfIssuer);
    expect([...accepted]).toContain("index"); // so a recount or a signature is needed
  });

  it("is refused in every field once it is signed", async () => {
    const { privateKey, publicKey } = pem();
    const again = { ...run, seed: "s", name: "a.png", key: privateKey };
    const issued = await issueCertificate(halves, x, again);
    expect((await verifyCertificate(issued, { publicKey })).signature).toBe("trusted");
    expect((await verifyCertificate(issued)).signature).toBe("unknown");
    for (const [path, item] of changes(issued)) {
      const copy = changed(path, item, issued);
      await expect(verifyCertificate(copy, { publicKey }), `${path}: ${item}`).rejects.toThrow();
    }
    expect(await message(verifyCertificate(issued, { publicKey: pem().publicKey }))).toMatch(
      /signed with another key/,
    );
    expect(await message(verifyCertificate(certificate, { publicKey }))).toMatch(/is not signed/);
  });

  it("is refused in every field that the claim rests on once its noise is drawn again", async () => {
    const options = { x, classifier: halves };
    for (const [path, item] of changes(certificate)) {
      if (/name$|^versions|^issued|^input.range/.test(path)) continue; // the claim is the same
      if (item === 1e308 || item === undefined) continue; // the schema refuses them
      expect(await problem(path, item, options), `${path}: ${item}`).toBeDefined();
    }
  });

  it("whose numbers fit together is refused by a recount", async () => {
    const { counts } = certificate;
    const lucky = await issueCertificate(halves, x, { ...run, seed: "t" });
    expect(lucky.counts).not.toEqual(counts);
    const forged = { ...lucky, seed: certificate.seed };
    await verifyCertificate(forged); // arithmetic alone cannot tell
    const wrong = message(verifyCertificate(forged, { x, classifier: halves }));
    expect(await wrong).toMatch(
      /votes of counts0? differ from those that the noise of its seed gives/,
    );
  });

  it("is refused with another input, model or fingerprint, and says which", async () => {
    const other = (batch: Float32Array, [n = 0]: number[]) =>
      Array.from({ length: n }, (_, i) => (batch[i]! > 1e-9 ? 1 : 0));
    const verify = (options: object) => message(verifyCertificate(certificate, options));
    expect(await verify({ x: [0.31] })).toMatch(/about another input: the SHA-256/);
    expect(await verify({ x: [0.5] })).toMatch(/float64 \[1\], but the given one is float32 \[1\]/);
    expect(await verify({ x: { data: x, shape: [1, 1] } })).toMatch(/\[1\], but .* \[1,1\]/);
    expect(await verify({ x, classifier: other })).toMatch(
      /another model, or another preprocessing/,
    );
    expect(await verify({ x, classifier: halves, fingerprint: "v2" })).toMatch(/another model/);
  });
});

describe("a hostile certificate", () => {
  const text = JSON.stringify(certificate);
  it.each([
    ["nothing", "", /no certificate: /],
    ["no JSON", "certificate.json", /no certificate: /],
    ["a list", "[]", /it must be an object/],
    ["null", "null", /it must be an object/],
    ["a key twice", text.replace("{", '{"radius":9,'), /the key "radius" twice/],
    ["a key twice in disguise", text.replace("{", '{"r\\u0061dius":9,'), /the key "radius" twice/],
    ["deep nesting", `{"input":${"[".repeat(1e5)}`, /nests values more than 8 deep/],
    ["a prototype", text.replace("{", '{"__proto__":{},'), /__proto__ is unknown/],
    ["a large number", text.replace(/"n":\d+/, '"n":1e400'), /n must be an? (integer|number)/],
    ["an unsafe integer", text.replace(/"n":\d+/, '"n":9007199254740993'), /n must be at least 1/],
    ["another version", text.replace("certificate-1", "certificate-2"), /\$schema must be/],
    ["a long text", text.replace('"a.png"', `"${"a".repeat(5000)}"`), /0 to 4096 characters/],
    ["too many bytes", `${text}${" ".repeat(2 ** 24)}`, /16777216 characters at most/],
    [
      "a shape of too many numbers",
      text.replace('"shape":[1]', `"shape":[${"1073741824,".repeat(7)}2]`),
      /input.shape must be that/,
    ],
    [
      "a range whose ends are swapped",
      text.replace('"range":[0,1]', '"range":[1,0]'),
      /range must be \[low, high\]/,
    ],
  ])("with %s is refused", async (_, hostile, reason) => {
    expect(await message(verifyCertificate(hostile))).toMatch(reason);
  });

  it("is refused in bytes that are no UTF-8, and asks for no unbounded recount", async () => {
    expect(await message(verifyCertificate(Uint8Array.of(0x7b, 0xff)))).toMatch(/no certificate/);
    const most = { x, classifier: halves, maxSamples: 2099 };
    await expect(verifyCertificate(certificate, most)).rejects.toThrow("takes 2100 samples");
  });

  it("writes no HTML of its own", async () => {
    const name = "<script>alert(1)</script>\"'&";
    const found = await issueCertificate(halves, x, { ...run, n: 100, name, model: name });
    const html = certificateHtml(await verifyCertificate(found));
    expect(html).not.toContain("<script");
    expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;");
    expect(html).toContain(String(found.radius));
    expect(html).toContain("they are the word of whoever issued the certificate");
  });
});

describe("keys", () => {
  const rsa = () => pem(generateKeyPairSync("rsa", { modulusLength: 2048 }));
  const sign = (key: string) => issueCertificate(halves, x, { ...run, n: 10, key });
  it("of another kind are refused, with the kind that came", async () => {
    const { publicKey, privateKey } = pem();
    const check = (key: string) => verifyCertificate(certificate, { publicKey: key });
    await expect(sign("secret")).rejects.toThrow("key must be an Ed25519 private key in PEM");
    await expect(sign(publicKey)).rejects.toThrow("key must be an Ed25519 private key in PEM");
    await expect(sign(rsa().privateKey)).rejects.toThrow("got rsa; make one with openssl genpkey");
    await expect(check(privateKey)).rejects.toThrow(
      "publicKey must be a public key, got a private",
    );
    const never = () => expect.fail("the key is looked at before the model computes");
    const bad = issueCertificate(never, x, { ...run, key: publicKey });
    await expect(bad).rejects.toThrow("key must be an Ed25519 private key");
    await expect(check("secret")).rejects.toThrow("publicKey must be an Ed25519 public key in PEM");
  });
});

it("canonical JSON sorts keys by UTF-16 and prints numbers as RFC 8785 does", () => {
  const value = { "\u20ac": 1, "\r": 2, "1": 3, "\u0080": [true, null, 1e21, 1e-7, 4.5, "\u000f"] };
  expect(canonicalJson(value)).toBe(
    '{"\\r":2,"1":3,"\u0080":[true,null,1e+21,1e-7,4.5,"\\u000f"],"\u20ac":1}',
  );
});

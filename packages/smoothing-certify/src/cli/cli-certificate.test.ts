import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { beforeAll, expect, it } from "vitest";
import { commandRunner } from "../../../../testing/run-command.ts";
import { main } from "./cli-main.ts";

const path = (name: string) => fileURLToPath(new URL(`../__fixtures__/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "smoothing-certificate-"));
const at = (name: string) => join(folder, name);
const model = ["--model", path("preprocessing/first.onnx")];
const image = ["--image", at("a.png"), "--image-size", "4"];
const certify = ["certify", ...model, ...image, "--sigma", "0.05", "--n", "100", "--mean", "0.5"];

beforeAll(async () => {
  const bytes = Uint8Array.from({ length: 6 * 5 * 3 }, (_, i) => (i * 37) % 256);
  const raw = { raw: { width: 6, height: 5, channels: 3 as const } };
  await sharp(bytes, raw).png().toFile(at("a.png"));
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(at("key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(at("pub.pem"), publicKey.export({ type: "spki", format: "pem" }));
});

const run = commandRunner(main);

it("certify writes a certificate of one image, which verify checks as far as it is told", async () => {
  const file = at("one.json");
  const made = await run(...certify, "--certificate", file, "--key", at("key.pem"));
  expect(made.error).toBe(`${file} written\n`);
  const { model: about, input, radius } = JSON.parse(readFileSync(file, "utf8"));
  expect(about).toMatchObject({ name: "first.onnx", preprocessing: [{ mean: [0.5] }] });
  expect(input).toMatchObject({ name: "a.png", shape: [4, 4, 3] });
  expect(made.out).toContain(`closer than ${radius} (l2)`);
  const alone = await run("verify", file);
  const without = await run("verify", file, "--mean", "0.5");
  expect(without.error).toContain("--mean is for --model, which is missing");
  expect(alone.out).toContain("nobody has vouched for that key");
  expect(alone.out).toContain("The votes were not counted again");
  const html = ["--html", at("one.html")];
  const all = await run("verify", file, "--public-key", at("pub.pem"), ...model, ...image, ...html);
  expect(all.status, all.error).toBe(0);
  expect(all.out).toContain("signed with the key that was given");
  expect(all.out).toContain("cast the same votes");
  expect(readFileSync(at("one.html"), "utf8")).toContain("cast the same votes");
  const again = await run(...certify, "--certificate", file);
  expect(again.error).toContain("exists already");
  const other = await run("verify", file, ...model, ...image, "--mean", "0.4");
  expect(other.error).toContain("its model.preprocessing must be");
});

it("an image of a data set has the noise of its index, as in a log", async () => {
  const halves = ["--model", path("halves.mjs"), "--data", path("steps.mjs"), "--indices", "5"];
  const settings = ["--sigma", "0.5", "--n", "50", "--seed", "7"];
  const file = at("row.json");
  const made = await run("certify", ...halves, ...settings, "--certificate", file);
  expect(made.status, made.error).toBe(0);
  const { counts, index } = JSON.parse(readFileSync(file, "utf8"));
  const row = await run("certify", ...halves, ...settings, "--quiet", "--no-preflight");
  expect(index).toBe(5);
  expect(row.out).toContain(`2;0:${counts[0]},1:${counts[1]}\t`);
  expect((await run("verify", file, ...halves)).out).toContain("cast the same votes");
});

it.each([
  [["verify"], "verify: name one certificate, got 0"],
  [["verify", path("bounds.json")], "the certificate is refused: $schema is missing"],
  [["verify", "/dev/zero"], "verify: cannot read /dev/zero: it is no regular file"],
  [["verify", "one.json", "--sigma", "1"], "unknown option --sigma"],
  [[...certify, "--skip", "2"], "--skip is for data sets"],
  [[...certify, "--indices", "2"], "--indices is for --data"],
  [[...certify, "--workers", "2"], "--workers is for a module"],
  [[...certify, "--key", at("key.pem")], "name its file with --certificate"],
  [[...certify, "--certificate", at("x.json"), "--key", at("none")], "--key: cannot read"],
  [[...certify, "--certificate", at("no/x.json")], "does not exist; make it"],
  [["certify", ...model, "--sigma", "1", "--certificate", at("x")], "--image, or --data with"],
])("%j is refused", async (argv, problem) => {
  const { status, error } = await run(...argv);
  expect(status).toBe(1);
  expect(error).toContain(problem);
});

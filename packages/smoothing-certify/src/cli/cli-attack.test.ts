import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { commandRunner } from "../../../../testing/run-command.ts";
import { temporaryFolders } from "../../../../testing/temporary-folder.ts";
import { main } from "./cli-main.ts";

const folder = temporaryFolders("smoothing-cli-attack");
let place: string;
let model: string[];
beforeAll(() => {
  place = folder();
  // a pixel below or above 1/2; images 0.2, 0.4, 0.6 and 0.8 of classes 0 and 1
  writeFileSync(
    join(place, "data.mjs"),
    `export default { name: "pixels", length: 4, imageShape: [1, 1, 1], numClasses: 2,
      get: (i) => ({ image: Float32Array.of((i + 1) / 5), label: i > 1 ? 1 : 0 }) };`,
  );
  writeFileSync(
    join(place, "half.mjs"),
    "export default (batch, [n]) => Int32Array.from({ length: n }, (_, i) => (batch[i] > 0.5 ? 1 : 0));",
  );
  model = ["--model", join(place, "half.mjs"), "--data", join(place, "data.mjs")];
});

const run = commandRunner(main);

it("attack prints what it finds, the same for the same seed", async () => {
  const argv = [
    "attack",
    ...model,
    "--sigma",
    "0.2",
    "--n",
    "500",
    "--samples",
    "64",
    "--seed",
    "3",
  ];
  const { status, out } = await run(...argv);
  expect(status).toBe(0);
  const [header, ...lines] = out.trimEnd().split("\n");
  expect(header).toBe("idx\tlabel\tpredict\tadversarial\tradius\tsamples\tseed");
  const rows = lines.map((line) => line.split("\t").map(Number));
  expect(rows.map(([, , predict, adversarial]) => [predict, adversarial])).toEqual([
    [0, 1],
    [0, 1],
    [1, 0],
    [1, 0],
  ]);
  for (const [idx, , , , radius] of rows) {
    const exact = Math.abs((idx! + 1) / 5 - 0.5);
    expect(radius).toBeGreaterThanOrEqual(exact - 1e-7); // float32 pixels
    expect(radius).toBeLessThan(3 * exact);
  }
  expect((await run(...argv)).out).toBe(out);
  expect((await run(...argv, "--max", "1")).out).toBe(`${header}\n${lines[0]}\n`);
});

it("certify --attack logs attacks, and analyze reads and draws them", async () => {
  const log = join(place, "log.tsv");
  const svg = join(place, "curves.svg");
  // a fresh seed would guess the class of an image near 1/2 wrong now and then
  const more = ["--sigma", "0.2", "--n", "500", "--n0", "20", "--seed", "3", "--no-preflight"];
  const certified = await run("certify", ...model, ...more, "--attack", "--log", log);
  expect(certified.status, certified.error).toBe(0);
  const { out, status } = await run("analyze", log, "--svg", svg);
  expect(status).toBe(0);
  expect(out).toContain(
    "log: accuracy in % without noise: 100.0; under attack, an upper bound: r=0: 100.0",
  );
  expect(out).toContain(
    "log: 0 of 4 attacks succeeded within the certified radius (p = 1.00): as many",
  );
});

it("plan compares runs and names one", async () => {
  const goal = ["--radius", "0.1", "--sigmas", "0.1,0.2", "--sizes", "200,1000", "--images", "2"];
  const { status, out, error } = await run("plan", ...model, ...goal);
  expect(status, error).toBe(0);
  expect(out).toMatch(/procedure +sigma +n +accuracy at r=0.1 +samples/);
  expect(out.match(/recommended/g)).toHaveLength(1);
  expect(out).toMatch(/\nsmoothing-certify (certify|at-radius) .*--sigma 0\.[12] /);
  expect(error).toMatch(/of 2 images, which a run should leave out: \d+,\d+\n$/);
  const careful = await run("plan", ...model, ...goal, "--alpha", "0.01");
  expect(careful.out).toMatch(/ --alpha 0\.01 \.\.\.\n/); // what the table is about
  const none = await run("plan", ...model, "--radius", "5", "--sigmas", "0.1");
  expect(none.out).toContain("no run reaches the goal");
});

it.each([
  [["attack"], "--sigma is needed"],
  [["attack", "--sigma", "0.2", "--norm", "l1"], 'norm must be "l2" or "linf", got "l1"'],
  [["attack", "--sigma", "0.2", "--steps", "0"], "--steps must be an integer of at least 1"],
  [["attack", "--sigma", "0.2", "--log", "x"], "unknown option --log"],
  [["certify", "--sigma", "0.2", "--attack-radius", "1"], "--attack-radius is for --attack"],
  [["certify", "--sigma", "0.2", "--adaptive", "--attack"], "--attack is not for --adaptive"],
  [["plan", "--sigmas", "0.1"], "--radius is needed"],
  [["plan", "--radius", "1", "--sigmas", "0.1,x"], "--sigmas must be numbers with commas between"],
  [["plan", "--radius", "1", "--sigmas", "0"], "a sigma must be a finite number above 0, got 0"],
])("%j is an error", async ([command, ...more], message) => {
  const { status, error } = await run(command!, ...model, ...more);
  expect(status).toBe(1);
  expect(error).toContain(message);
});

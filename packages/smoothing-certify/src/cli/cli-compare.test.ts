import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { main } from "./cli-main.ts";

it("compare prints both logs and their paired differences", async () => {
  const log = (method: string) =>
    fileURLToPath(
      new URL(`../__fixtures__/published/noise_0.5/${method}/noise_0.5.tsv.gz`, import.meta.url),
    );
  let out = "";
  let error = "";
  const io = { out: (t: string) => void (out += t), error: (t: string) => void (error += t) };
  const argv = ["compare", log("cohen"), log("cat-rs"), "--sigma", "0.5", "--votes", "100000"];
  expect(await main([...argv, "--n", "1000", "--radii", "0.5"], io), error).toBe(0);
  expect(error).toBe("10000 common images, n = 1000\n");
  expect(out).toMatch(
    /^\ta\tb\tb - a\tlow\thigh\nr=0.5(\t-?0\.\d{4}){5}\nACR(\t-?[01]\.\d{4}){5}\n$/,
  );
  expect(await main(["compare", log("cohen")], io)).toBe(1);
});

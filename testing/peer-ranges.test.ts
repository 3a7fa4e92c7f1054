import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const packages = new URL("../packages/", import.meta.url);

it("ONNX Runtime may be a pre-release, which ranges such as >=1.20 refuse", () => {
  const ranges = readdirSync(packages).flatMap((name) => {
    const { peerDependencies = {} } = JSON.parse(
      readFileSync(new URL(`${name}/package.json`, packages), "utf8"),
    );
    return Object.entries(peerDependencies)
      .filter(([peer]) => peer.startsWith("onnxruntime-"))
      .map(([peer, range]) => `${name}: ${peer} ${range}`);
  });
  expect(ranges.length).toBeGreaterThan(0);
  expect(ranges.filter((line) => !line.endsWith(" *"))).toEqual([]);
});

import { test, vi } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { expectReadmeExample } from "../../../testing/readme.ts";

test("the example of the README runs: loss and gradient against finite differences in float64", async () => {
  expectReadmeExample(
    new URL("../README.md", import.meta.url),
    new URL("./readme.example.ts", import.meta.url),
  );
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("./readme.example.ts");
  const [value, gradient] = log.mock.calls[0] as [number, Float32Array];
  log.mockRestore();
  const weight = [0.1, -0.2, 0.3, 0.4];
  expectClose([value], [loss(weight)], { relative: 1e-6 });
  const slopes = weight.map((_, i) => {
    const at = (step: number) => loss(weight.map((w, j) => (i === j ? w + step : w)));
    return (at(1e-5) - at(-1e-5)) / 2e-5;
  });
  expectClose(gradient, slopes, { absolute: 1e-6 });
});

/** The example in plain numbers: two copies, two classes, label 0, lambda 2, mu 0.5. */
function loss([a, b, c, d]: number[]): number {
  const copies = [
    [1.3, 1.9],
    [0.8, 2.4],
  ].map(([u, v]) => {
    const z = [u! * a! + v! * c!, u! * b! + v! * d!];
    const total = z.reduce((sum, value) => sum + Math.exp(value), 0);
    return z.map((value) => Math.exp(value) / total);
  });
  const mean = [0, 1].map((k) => (copies[0]![k]! + copies[1]![k]!) / 2);
  const over = (f: (p: number, k: number) => number) => mean.reduce((s, p, k) => s + f(p, k), 0);
  const natural = copies.reduce((s, p) => s - Math.log(p[0]!), 0) / 2;
  const kl = copies.reduce((s, q) => s + over((p, k) => p * Math.log(p / q[k]!)), 0) / 2;
  return natural + 2 * kl - 0.5 * over((p) => p * Math.log(p));
}

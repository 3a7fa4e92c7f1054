import { expect } from "vitest";
import { certify } from "../procedures/certify.ts";
import { type CouplingName, smallNet } from "./coupled.ts";

/** How many of the nets whose answers visibly depend on the batch are refused, and the most rows that it took. */
export async function refusals(coupling: CouplingName, seeds: string, count: number, rounding = 0) {
  const found = { nets: 0, refused: 0, rows: 0 };
  for (let i = 0; found.nets < count; i++) {
    const { classify, image, sigma, numClasses } = smallNet(coupling, `${seeds}${i}`, rounding);
    let rows = 0;
    const spy = (batch: Float32Array, shape: number[]) => {
      rows += shape[0]!;
      return classify(batch, shape);
    };
    const run = { seed: i, sigma, n0: 16, n: 16, numClasses, batchSize: 16 };
    const votes = async (batchSize: number) =>
      (
        await certify(classify, image, { ...run, n: 200, batchSize, checkRows: false })
      ).counts.join();
    const sizes = new Set([await votes(16), await votes(5), await votes(200), await votes(1)]);
    if (coupling !== "none" && sizes.size === 1) continue; // says one class whatever the batch is
    found.nets++;
    await certify(spy, image, run).then(
      () => {
        found.rows = Math.max(found.rows, rows - 32);
      },
      (error: Error) => {
        expect(error.message).toContain("depends on the rows beside it");
        found.refused++;
      },
    );
  }
  return found;
}

// The sliders.
import type { Find } from "./image-choice.ts";
import type { Settings } from "./messages.ts";

const value = (find: Find, id: string) => find<HTMLInputElement>(id).valueAsNumber;

/** The numbers that the sliders stand at; a seed only where the page's address has one (`?seed=7`), for tests. */
export function readSettings(find: Find): Settings {
  const radius = value(find, "radius");
  const seed = new URLSearchParams(location.search).get("seed");
  return {
    sigma: value(find, "sigma"),
    n: Math.round(10 ** value(find, "n")),
    alpha: 10 ** value(find, "alpha"),
    ...(radius > 0 && { radius }),
    ...(seed !== null && { seed: Number(seed) }),
  };
}

/** Shows the numbers beside the sliders, now and after each move. */
export function wireSettings(find: Find): void {
  const show = () => {
    const { sigma, n, alpha, radius } = readSettings(find);
    find("sigma-value").textContent = sigma.toFixed(2);
    find("n-value").textContent = n.toLocaleString("en");
    find("alpha-value").textContent = String(Number(alpha.toPrecision(1)));
    find("radius-value").textContent = radius === undefined ? "never" : radius.toFixed(2);
  };
  for (const id of ["sigma", "n", "alpha", "radius"]) find(id).addEventListener("input", show);
  show();
}

/** Moves the slider of the noise. */
export function setSigma(find: Find, sigma: number): void {
  const input = find<HTMLInputElement>("sigma");
  input.valueAsNumber = sigma;
  input.dispatchEvent(new Event("input"));
}

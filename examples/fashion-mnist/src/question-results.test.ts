import { it } from "vitest";
import { expectClose } from "../../../testing/expect-close.ts";
import { crossedMean } from "./question-results.ts";

it("covers the choice of seeds and of images", () => {
  // scipy: t.ppf(0.975, df) * sqrt(var(seeds) / 3 + var(images) / 4), df = 4.909090909090907
  const { difference, low, high } = crossedMean([
    [0.1, 0.2, 0.0, 0.3],
    [0.2, 0.1, 0.1, 0.4],
    [0.0, 0.1, -0.1, 0.2],
  ]);
  expectClose(
    [difference, low, high],
    [0.13333333333333333, -0.06409670970073969, 0.3307633763674064],
    { absolute: 1e-9 },
  );
});

it("is as wide as the images differ where seeds agree", () => {
  // Student's t of 0, 0.1, 0.2, 0.3 with three degrees of freedom
  const { low, high } = crossedMean([
    [0, 0.1, 0.2, 0.3],
    [0, 0.1, 0.2, 0.3],
  ]);
  expectClose([low, high], [-0.05542602567605204, 0.3554260256760521], { absolute: 1e-9 });
});

import { expect, it } from "vitest";
import { expectClose } from "../../../../testing/expect-close.ts";
import { studentQuantile } from "./student-t.ts";

// scipy 1.17.1, scipy.stats.t.ppf; mpmath 1.4.1 agrees to all digits but the last
const freedoms = [1, 2, 3, 5, 10, 30, 99, 499, 1000, 9999, 100_000, 1_000_000];
it.each([
  [
    0.9,
    [
      3.0776835371752544, 1.8856180831641272, 1.637744353696209, 1.4758840488244815,
      1.372183641110336, 1.3104150253913955, 1.2901614420344854, 1.2832504230098851,
      1.2823987214609247, 1.281636238198314, 1.2815600314493614, 1.281552412129939,
    ],
  ],
  [
    0.975,
    [
      12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.5705818356363146,
      2.228138851986274, 2.0422724563012378, 1.9842169515864174, 1.9647293909876886,
      1.9623390808264083, 1.960201263621357, 1.9599877075346095, 1.959966356814107,
    ],
  ],
  [
    0.995,
    [
      63.656741162871526, 9.924843200918287, 5.840909309733355, 4.032142983555228, 3.16927267261695,
      2.7499956535672254, 2.626405457280827, 2.585717683111754, 2.580754698065951,
      2.5763210958565974, 2.575878469908375, 2.5758342201053344,
    ],
  ],
  [
    0.9995,
    [
      636.6192487687897, 31.599054576445365, 12.923978636687961, 6.868826625881276,
      4.586893858702708, 3.6459586350420627, 3.391528833363685, 3.3101305703978303,
      3.300282648423944, 3.291500063300963, 3.2906240314119137, 3.2905364612487222,
    ],
  ],
])("the quantile at %s is scipy's to 1e-12", (p, quantiles) => {
  expectClose(
    freedoms.map((df) => studentQuantile(p as number, df)),
    quantiles as number[],
    { relative: 1e-12 },
  );
});

it("takes degrees of freedom that are not whole, as Satterthwaite's", () => {
  expectClose([studentQuantile(0.975, 1.7)], [5.1188389882530565], { relative: 1e-12 });
});

it.each([
  [0.5, 3, "studentQuantile: p must lie in (1/2, 1), got 0.5"],
  [1, 3, "studentQuantile: p must lie in (1/2, 1), got 1"],
  [0.975, 0, "studentQuantile: degreesOfFreedom must be a finite number above 0, got 0"],
])("refuses p = %s with %s degrees of freedom", (p, df, message) => {
  expect(() => studentQuantile(p, df)).toThrow(message);
});

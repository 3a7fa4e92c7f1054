import { fileURLToPath } from "node:url";
import { DmaeError } from "@dmae/core";
import { checkOptions } from "@dmae/core/checks";
import type { ArrayDataset } from "./array-dataset.ts";
import { type Split, type Splits, splitNames } from "./dataset.ts";
import { readIdxSplit } from "./load-idx.ts";

const classNames = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
] as const;

/**
 * Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images, 28x28 grey, ten classes.
 * The files come from the package `@dmae/fashion-mnist`, which is installed beside this one.
 *
 * @param options `split` opens one part only
 * @throws DmaeError "unsupported" if `@dmae/fashion-mnist` is not installed, "file" for a damaged file
 *
 * @example
 * ```ts
 * const { train, test } = await fashionMnist();
 * const onlyTest = await fashionMnist({ split: "test" });
 * ```
 */
export async function fashionMnist(options: { readonly split: Split }): Promise<ArrayDataset>;
export async function fashionMnist(): Promise<Splits<ArrayDataset>>;
export async function fashionMnist(
  options: { readonly split?: Split } = {},
): Promise<ArrayDataset | Splits<ArrayDataset>> {
  checkOptions("fashionMnist", options, { split: splitNames });
  const { split } = options;
  const { files } = await import("@dmae/fashion-mnist").catch((cause: unknown) => {
    throw new DmaeError(
      "unsupported",
      "fashionMnist: the package @dmae/fashion-mnist is missing; run npm install @dmae/fashion-mnist",
      {},
      { cause },
    );
  });
  const read = (part: Split) =>
    readIdxSplit(
      "fashionMnist",
      {
        images: fileURLToPath(files[`${part}Images`]),
        labels: fileURLToPath(files[`${part}Labels`]),
      },
      part,
      { name: "fashion-mnist", numClasses: 10, classNames },
    );
  if (split) return read(split);
  return { train: await read("train"), test: await read("test") };
}

import { DmaeError } from "@dmae/core";
import { commandLine, wholeNumber } from "@dmae/reproduce/program";

/** What the user can set. */
export interface Options {
  sigma: number;
  epochs: number;
  images: number;
  n: number;
  seed: number;
  backend: string;
  executor: "compiled" | "eager";
  precision: "float32" | "int8";
  folder: string | undefined;
  /** Certify the classifier of `@dmae/models` instead of training one. */
  pretrained: boolean;
  /** Training images that are used; fewer in a smoke run. */
  trainImages: number;
}

export const help = `npm start -- [options]

Pre-trains a Denoising Masked Autoencoder on Fashion-MNIST, fine-tunes it with consistency regularisation
under Gaussian noise, certifies test images by randomized smoothing, and writes report.html.
Interrupted and started again with the same options, it goes on where it was.

  --sigma 0.25          standard deviation of the noise, images in [0, 1]
  --epochs 1            passes over the data when fine-tuning; pre-training makes twice as many
  --images 200          test images to certify
  --n 1000              noisy copies per image; the largest radius that n can certify is printed
  --seed 0              every random draw follows from it: same seed, same numbers
  --backend cpu         TensorFlow.js backend of the eager executor: cpu, wasm, tfjs-node, tfjs-node-gpu;
                        or a card for the compiled one: compiled:cuda, compiled:webgpu
  --executor compiled   compiled (one ONNX graph in ONNX Runtime) or eager (op by op on --backend)
  --precision float32   float32 or int8: certifies the int8 classifier, faster, compiled executor only
  --folder DIR          run folder (default: runs/quickstart-<options>)
  --pretrained          nothing is trained: certifies 20 images with the classifier of @dmae/models, in seconds
  --longer              --epochs 6 --n 10000: a better classifier, and larger radii, in half an hour rather than five minutes
  --smoke               a run of seconds that shows that every stage works: 1,200 training images, 5 test images, n = 100
  --help                this text`;

/** The standard deviation that `--sigma` gives. */
function noise(text: string): number {
  const sigma = Number(text);
  if (sigma > 0 && sigma <= 2) return sigma;
  throw new DmaeError("argument", `--sigma: must be a number above 0, at most 2, got ${text}`);
}

/** What `--smoke`, `--longer`, `--pretrained` and none of them stand for; any option named beside them wins. */
const presets = {
  smoke: { epochs: "1", images: "5", n: "100" },
  normal: { epochs: "1", images: "200", n: "1000" },
  longer: { epochs: "6", images: "200", n: "10000" },
  pretrained: { epochs: "1", images: "20", n: "1000" },
} satisfies Record<string, Record<string, string>>;

/** Options that say how to train, or how the trained model is run: a shipped classifier is int8 in ONNX Runtime. */
const trainingOptions = ["epochs", "backend", "executor", "precision"] as const;

/** The preset that was asked for; at most one. */
function preset(values: Record<string, unknown>): keyof typeof presets {
  const [name = "normal", other] = (["smoke", "longer", "pretrained"] as const).filter(
    (word) => values[word] === true,
  );
  if (other !== undefined)
    throw new DmaeError("argument", `--${name} and --${other} exclude each other`);
  const idle = trainingOptions.find((option) => values[option] !== undefined);
  if (name === "pretrained" && idle !== undefined)
    throw new DmaeError(
      "argument",
      `--${idle} says how to train, which --pretrained does not do; leave one of them out`,
    );
  return name;
}

/** Whether a backend is a card on which ONNX Runtime runs the compiled graphs. */
export const isCard = (backend: string) => backend.startsWith("compiled:");

const flags = {
  sigma: { type: "string", default: "0.25" },
  epochs: { type: "string" },
  images: { type: "string" },
  n: { type: "string" },
  seed: { type: "string", default: "0" },
  backend: { type: "string" },
  executor: { type: "string" },
  precision: { type: "string" },
  folder: { type: "string" },
  smoke: { type: "boolean", default: false },
  longer: { type: "boolean", default: false },
  pretrained: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** Reads the command line; throws a `DmaeError` that names the option, its rule and what came. */
export function readOptions(args: readonly string[]): Options | "help" {
  const given = commandLine(flags, args);
  if (given.help) return "help";
  const chosen = preset(given);
  const values = { ...presets[chosen], ...given };
  const { backend, folder } = values;
  // A backend named without an executor means: run on that backend.
  const isCompiled = backend === undefined || isCard(backend);
  const executor = values.executor ?? (isCompiled ? "compiled" : "eager");
  if (executor !== "compiled" && executor !== "eager")
    throw new DmaeError("argument", `--executor: must be compiled or eager, got ${executor}`);
  if (executor === "eager" && backend !== undefined && isCard(backend))
    throw new DmaeError("argument", `--backend ${backend} needs --executor compiled, got eager`);
  const precision = values.precision ?? (chosen === "pretrained" ? "int8" : "float32");
  if (precision !== "float32" && precision !== "int8")
    throw new DmaeError("argument", `--precision: must be float32 or int8, got ${precision}`);
  if (precision === "int8" && executor === "eager")
    throw new DmaeError("argument", "--precision int8 needs --executor compiled");
  return {
    sigma: noise(values.sigma),
    epochs: wholeNumber("epochs", values.epochs),
    images: wholeNumber("images", values.images, 1, 10_000),
    n: wholeNumber("n", values.n),
    seed: wholeNumber("seed", values.seed, 0),
    backend: backend ?? "cpu",
    executor,
    precision,
    folder,
    pretrained: chosen === "pretrained",
    trainImages: chosen === "smoke" ? 1200 : 60_000,
  };
}

/** Kinds of command-line options; an array lists the words that an option may be. */
export type Kind =
  | "count"
  | "positive"
  | "fraction"
  | "number"
  | "list"
  | "interval"
  | "text"
  | "switch"
  | readonly string[];

/** What `--help` prints about an option; by command where it differs. */
type About = string | Readonly<Record<string, string>>;

const certified = "the l2 radius to certify";
const cutOff = "accept a cut-off last line";

/** Options by name. */
export const options = {
  model: [
    "text",
    "model.onnx, model.json of TensorFlow.js, or a .js/.mjs module that exports a classifier",
  ],
  export: ["text", "name of the module's export (default: default)"],
  workers: ["count", "run the module's classifier in this many threads"],
  size: ["list", "side, or height,width, that the model wants: noisy images are resized to it"],
  channels: [
    ["rgb", "bgr", "gray"],
    "rgb, bgr or gray: channels that the model wants (default: as they are)",
  ],
  scale: ["positive", "factor that the model wants, e.g. 255 for bytes (default: 1)"],
  mean: ["list", "channel means to subtract after --scale, e.g. 0.485,0.456,0.406"],
  std: ["list", "channel deviations to divide by, after --mean"],
  layout: [["NCHW", "NHWC", "as-is"], "NCHW, NHWC or as-is: order of axes that the model wants"],
  output: ["text", "name of the model's output with the logits, if there are several"],
  binary: [
    ["probability", "logit"],
    "probability or logit: what the single output of a two-class model is",
  ],
  data: ["text", "fashion-mnist, cifar10:DIR, cifar100:DIR, idx:DIR, an image folder, or a module"],
  image: ["text", "one image file in place of --data"],
  "image-channels": [["1", "3"], "channels of --image: 1 (gray) or 3 (default: 3)"],
  labels: ["text", 'JSON file that names the model\'s class of each class of --data: {"cat": 281}'],
  "num-classes": ["count", "classes of the model (default: what it says, else those of --data)"],
  split: [["train", "test"], "train or test (default: test)"],
  "image-size": [
    "count",
    "resize and crop images of a folder (default: 224) or --image (default: as it is)",
  ],
  sigma: ["positive", "standard deviation of the noise, in the units of the pixels"],
  range: [
    "interval",
    "interval of the pixels (default: 0,1); --range=-1,1 where it begins below 0",
  ],
  n: [
    "count",
    "estimation samples (default: 10000; predict: 1000; compare: the smaller n of the two logs)",
  ],
  n0: ["count", "selection samples (default: 100)"],
  alpha: ["fraction", "allowed probability of a wrong certificate (default: 0.001)"],
  seed: ["text", "seed of the noise (default: that of the log, or a fresh one)"],
  radius: [
    "positive",
    {
      "at-radius": certified,
      plan: certified,
      regress: certified,
      attack: "largest perturbation that is tried (default: 4 sigma; linf: sigma)",
    },
  ],
  "max-samples": [
    "count",
    {
      certify: "adaptive: most samples an image (default: 100000)",
      "at-radius": "most samples an image (default: 100000)",
      verify: "most samples to draw again (default: 1000000)",
    },
  ],
  patience: [
    "count",
    "at-radius: votes that an image is worth (default: 1600 / (1 - Phi(r / sigma)))",
  ],
  mode: [["evaluate", "deploy"], "at-radius: evaluate (knows the label, default) or deploy"],
  columns: ["count", "patch: an ablated copy keeps a band of this many columns"],
  rows: ["count", "patch: … a band of this many rows"],
  block: ["count", "patch: … a square block of this side"],
  stride: ["count", "patch: pixels between the starts of two bands or blocks (default: 1)"],
  encoding: [
    ["fill", "mask", "complement"],
    "patch: how a copy shows what it lacks: fill (default), mask (one more channel, 1 where a pixel is kept) or complement (x and 1 - x)",
  ],
  fill: ["number", "patch: value of the pixels that a copy lacks (default: 0)"],
  adaptive: ["switch", "certify: choose the number of samples by a pilot"],
  "relative-width": ["fraction", "adaptive: share of the radius to give away (default: 0.05)"],
  pilot: ["count", "adaptive: first pilot samples (default: 200)"],
  bound: [["one-class", "two-class"], "one-class (default) or two-class"],
  norm: [["l1", "l2", "linf"], "l1, l2 or linf"],
  noise: [["gaussian", "uniform", "laplace"], "gaussian (default), uniform or laplace"],
  sound: ["switch", "noise on the 8-bit grid, sound in floating point"],
  "noise-workers": ["count", "draw the noise in this many threads"],
  skip: ["count", "take every skip-th image"],
  max: ["count", "take at most this many images"],
  indices: ["list", "take these images, e.g. 0,5,17"],
  shard: ["text", "i/n, or auto for Kubernetes indexed jobs and SLURM arrays"],
  "batch-size": ["count", "noisy images per call of the model"],
  "memory-limit": ["positive", "MiB that batches may take (default: 128)"],
  attack: ["switch", "certify: attack each image too, and log what was found"],
  "attack-radius": [
    "positive",
    "with --attack: largest perturbation that is tried (default: 4 sigma; linf: sigma)",
  ],
  steps: ["count", "attack: steps of each descent (default: 10)"],
  rounds: ["count", "attack: descents, each to a smaller radius (default: 4)"],
  samples: [
    "count",
    {
      attack: "noisy copies of a point in the search (default: 256)",
      plan: "most samples an image",
    },
  ],
  tau: [
    "fraction",
    "segment, labels: probability that a certified class exceeds, from 0.5 (default: 0.75); it sets the radius",
  ],
  answer: [
    ["logits", "logits-first", "classes"],
    "segment: logits with the classes last (default), logits-first (PyTorch, ONNX), or classes",
  ],
  threshold: [
    "number",
    "labels: a label is present if its score is above this (default: 0, for logits)",
  ],
  quantile: ["fraction", "regress: quantile of the outputs (default: 0.5, the median)"],
  sigmas: ["list", "plan: standard deviations to choose from, e.g. 0.25,0.5"],
  sizes: ["list", "plan: sample sizes to choose from (default: 1000,10000,100000)"],
  accuracy: ["fraction", "plan: certified accuracy to be reached as cheaply as possible"],
  "skip-wrong-guess": ["switch", "abstain early where the first guess is not the label"],
  randomized: ["switch", "the classifier is random on purpose, independently for each row"],
  "no-preflight": ["switch", "do not look at a few images first"],
  log: ["text", "log to append to and resume from; without it rows go to standard output"],
  out: ["text", "recertify, merge: file to write (default: standard output)"],
  "top-k": ["count", "recertify: certify that the label is among the k most probable"],
  dimension: ["count", "recertify: numbers of an image, for linf"],
  votes: ["count", "compare: n of a log that does not say it (also --sigma, --alpha)"],
  certificate: [
    "text",
    "write a certificate of one image (--image, or one of --indices) to this file",
  ],
  key: ["text", "certificate: sign it with the Ed25519 private key in this PEM file"],
  "public-key": ["text", "verify: the certificate must be signed by this Ed25519 key (PEM file)"],
  html: ["text", "verify: write a page for print to this file"],
  images: [
    "count",
    { merge: "rows that there must be", plan: "images of the pilot (default: 50)" },
  ],
  partial: [
    "switch",
    {
      merge: "accept missing or unfinished shards",
      analyze: cutOff,
      compare: cutOff,
      recertify: cutOff,
    },
  ],
  radii: ["list", "analyze, compare: radii, e.g. 0,0.25,0.5"],
  format: [["text", "markdown", "latex", "csv"], "analyze: text (default), markdown, latex or csv"],
  svg: ["text", "analyze: draw the curves to this file"],
  png: ["text", "analyze: draw the curves to this file (needs sharp)"],
  title: ["text", "analyze: title of the picture"],
  quiet: ["switch", "no progress"],
  help: ["switch", "print this (also -h)"],
} as const satisfies Record<string, readonly [Kind, About]>;

/** Name of a command-line option. */
export type OptionName = keyof typeof options;

/** What an option is for a command that takes it. */
export function aboutOf(name: OptionName, command: string): string {
  const about: About = options[name][1];
  return typeof about === "string" ? about : about[command]!;
}

/** Options that say how a model wants its images. */
export const preprocessing = [
  "size",
  "channels",
  "scale",
  "mean",
  "std",
  "layout",
  "output",
  "binary",
] as const;

const model = ["model", "export", "workers", ...preprocessing] as const;
const images = ["data", "labels", "num-classes", "split", "image-size"] as const;
const selection = ["skip", "max", "indices", "shard"] as const;
const noise = ["sigma", "range", "alpha", "seed"] as const;
const batches = ["batch-size", "memory-limit"] as const;
const run = [...noise, ...batches, "randomized"] as const;
const dense = [
  ...model,
  ...(["data", "split", "image-size"] as const),
  ...selection,
  "n",
  ...run,
] as const;
/** What every run over the images of a data set takes. */
const runOverImages = [...model, ...images, ...selection, ...run] as const;
const output = ["no-preflight", "log", "quiet", "help"] as const;

interface Command {
  readonly about: string;
  /** The options that it takes. */
  readonly takes: readonly OptionName[];
  /** Those that must be there. */
  readonly needs?: readonly OptionName[];
}

const needsRun = ["model", "data", "sigma"] as const;

/** The commands by name. */
export const commands: Readonly<Record<string, Command>> = {
  certify: {
    about: "certified radii of a data set's images, or of one image",
    needs: ["model", "sigma"],
    takes: [
      ...runOverImages,
      "noise-workers",
      "n",
      "n0",
      "bound",
      "norm",
      "noise",
      "sound",
      "adaptive",
      "relative-width",
      "max-samples",
      "pilot",
      "skip-wrong-guess",
      "attack",
      "attack-radius",
      "image",
      "image-channels",
      "certificate",
      "key",
      ...output,
    ],
  },
  predict: {
    about: "predictions of the smoothed classifier",
    needs: needsRun,
    takes: [
      ...runOverImages,
      "noise-workers",
      "n",
      "noise",
      "sound",
      ...output.filter((name) => name !== "log"),
    ],
  },
  "at-radius": {
    about: "certified accuracy at one radius, with as few samples as that takes",
    needs: [...needsRun, "radius"],
    takes: [
      ...runOverImages,
      "noise-workers",
      "radius",
      "max-samples",
      "patience",
      "mode",
      "n0",
      "sound",
      ...output,
    ],
  },
  patch: {
    about: "predictions that no patch changes: votes of ablated copies, certified without noise",
    needs: ["model", "data"],
    takes: [
      ...model,
      ...images,
      ...selection,
      "columns",
      "rows",
      "block",
      "stride",
      "encoding",
      "fill",
      "range",
      ...batches,
      ...output.filter((name) => name !== "no-preflight"),
    ],
  },
  attack: {
    about: "small perturbations that change the smoothed class: upper bounds on the true radii",
    needs: needsRun,
    takes: [...runOverImages, "n", "norm", "radius", "steps", "rounds", "samples", "help"],
  },
  segment: {
    about: "the class of every pixel within one radius, or none where the votes do not suffice",
    needs: [...needsRun, "num-classes"],
    takes: [...dense, "n0", "num-classes", "answer", "tau", "help"],
  },
  labels: {
    about: "which labels are present and which absent, within one radius",
    needs: needsRun,
    takes: [...dense, "n0", "threshold", "tau", "help"],
  },
  regress: {
    about: "bounds on every output of a model within a radius",
    needs: [...needsRun, "radius"],
    takes: [...dense, "radius", "quantile", "help"],
  },
  plan: {
    about: "sigma, n and procedure for a goal, from a small pilot",
    needs: ["model", "data", "radius", "sigmas"],
    takes: [
      ...model,
      ...images,
      "radius",
      "sigmas",
      "sizes",
      "accuracy",
      "samples",
      "images",
      "alpha",
      "seed",
      "range",
      "help",
    ],
  },
  recertify: {
    about: "new certificates from the votes in a log, without the model",
    takes: ["alpha", "bound", "norm", "dimension", "top-k", "partial", "out", "help"],
  },
  merge: { about: "one log from those of all shards", takes: ["out", "images", "partial", "help"] },
  verify: {
    about: "check a certificate; with --model and an image, draw its noise again and recount",
    takes: [
      "public-key",
      ...model,
      "image",
      "data",
      "split",
      "indices",
      "image-size",
      "max-samples",
      "html",
      "help",
    ],
  },
  compare: {
    about: "two logs on their common images, at a common n, with paired 95 % intervals",
    takes: ["radii", "n", "sigma", "alpha", "votes", "partial", "help"],
  },
  analyze: {
    about: "tables and curves of certified accuracy from logs, also of the original Python tools",
    takes: ["radii", "format", "svg", "png", "title", "partial", "help"],
  },
};

/** Whether a command takes the names of logs. */
export const readsLogs = (command: string) =>
  ["recertify", "merge", "compare", "analyze"].includes(command);

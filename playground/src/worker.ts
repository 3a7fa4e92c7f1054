// Everything that computes: models, noise, votes and attacks. Nothing leaves the page.
import {
  type AnytimeResult,
  attack,
  createCertifier,
  image,
  issueCertificate,
  type LoadedClassifier,
} from "@dmae/smoothing-certify";
import type { Answer, Calls, Report, Request } from "./messages.ts";
import { loadModel, type Model } from "./model.ts";

let model: Model | undefined;

function loaded(): Model {
  if (model) return model;
  throw new Error("load a model first");
}

/** Rows of a batch: small enough for the page to move, large enough to be fast. */
const rowsFor = (shape: readonly number[]) =>
  Math.max(1, Math.min(64, Math.floor(2 ** 21 / shape.reduce((a, b) => a * b, 1))));

/** The classifier, told of each batch before it is classified. */
function watched(
  classifier: LoadedClassifier,
  onBatch: (batch: Float32Array, rows: number) => void,
): LoadedClassifier {
  return {
    ...classifier,
    predict(batch, shape) {
      onBatch(batch, shape[0]!);
      return classifier.predict(batch, shape);
    },
  };
}

type Call<K extends keyof Calls> = (
  argument: Calls[K][0],
  report: (report: Report) => void,
  signal: AbortSignal,
) => Promise<Calls[K][1]>;

const calls: { readonly [K in keyof Calls]: Call<K> } = {
  async load({ model: choice, gpu }) {
    const next = await loadModel(choice, gpu);
    await model?.classifier.dispose();
    model = next;
    return next.facts;
  },

  async read({ source, invert }) {
    const [height, width, channels] = loaded().facts.shape;
    const size = height === width ? height : ([height, width] as const);
    const { data, shape } = await image(source, { size, channels: channels === 1 ? 1 : 3 });
    const inverse = (value: number) => (255 - Math.round(255 * value)) / 255; // again k / 255, exactly
    return { data: invert ? data.map(inverse) : data, shape };
  },

  async certify({ picture, sigma, n, alpha, radius, seed }, report, signal) {
    const { classifier } = loaded();
    const { data, shape } = picture;
    const batchSize = rowsFor(shape);
    let isShown = false;
    const shown = watched(classifier, (batch, rows) => {
      if (isShown) return;
      isShown = true;
      const count = Math.min(rows, 8);
      report({ copies: batch.slice(0, count * data.length), count });
    });
    const certifier = await createCertifier(shown, {
      sigma,
      alpha,
      shape,
      maxSamples: n,
      batchSize,
    });
    let result: AnytimeResult | undefined;
    for await (result of certifier.stream(data, { every: batchSize, radius, seed })) {
      report({ result });
      if (signal.aborted) break;
    }
    await certifier.close();
    return result!;
  },

  async issue({ picture, sigma, n, alpha }, _report, signal) {
    const { classifier, facts } = loaded();
    const batchSize = rowsFor(picture.shape);
    const options = { sigma, n, alpha, batchSize, signal, model: facts.name };
    return issueCertificate(classifier, picture, options);
  },

  async attack({ picture, sigma, n, alpha }, report, signal) {
    const { classifier, shipped, facts } = loaded();
    let drawn = 0;
    const counted = watched(classifier, (_, rows) => {
      drawn += rows;
      report({ drawn });
    });
    const hasGradient = shipped !== undefined && facts.hasGradient;
    const gradient = hasGradient
      ? await (await import("./gradient.ts")).gradientOf(shipped)
      : undefined;
    const search = hasGradient ? { samples: 32, steps: 8, rounds: 3 } : { samples: 512, rounds: 3 };
    const farthest = { radius: 12 * sigma }; // further than any certificate reaches with 100,000 votes
    const run = {
      sigma,
      n,
      alpha,
      gradient,
      signal,
      ...farthest,
      batchSize: rowsFor(picture.shape),
      ...search,
    };
    const { success, adversarial, radius, point } = await attack(counted, picture, run);
    return { success, adversarial, radius, ...(point && { point }) };
  },
};

const running = new Map<number, AbortController>();
const answer = (message: Answer) => self.postMessage(message);

self.addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  const { id } = data;
  if ("stop" in data) return running.get(id)?.abort(new Error("stopped"));
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const call = calls[data.call] as Call<keyof Calls>;
    const report = (report: Report) => answer({ id, report });
    answer({ id, result: await call(data.argument as never, report, controller.signal) });
  } catch (error) {
    answer({ id, error: error instanceof Error ? error.message : String(error) });
  } finally {
    running.delete(id);
  }
});

// What sharing batches among requests costs: 100 requests at once to createCertifier, in the process and over HTTP,
// against certifyDataset on the same 100 images; as many noisy images each. The three take turns, and the ratios are
// medians over the turns, each against the run of the same turn, so that a machine that slows down slows all.
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { compiledExecutor } from "@dmae/compile";
import { type ImageDataset, key, uniform } from "@dmae/core";
import {
  type Certifier,
  type Classifier,
  certifyDataset,
  createCertifier,
} from "@dmae/smoothing-certify";
import { createViT } from "@dmae/vit";

const [images, n0, n, turns] = [100, 100, 400, 3];
const [side, batchSize] = [28, 128];
const shape = [side, side, 1];
const base = { sigma: 0.25, n0, batchSize };

/** Prints noisy images a second and the ratios. */
export async function serverBenchmark(): Promise<void> {
  const vit = createViT({
    ...{ imageSize: side, patchSize: 7, channels: 1, mean: [0.286], std: [0.353] },
    ...{ width: 128, depth: 4, heads: 4, numClasses: 10 }, // the size of the shipped classifier
  });
  const prepared = await compiledExecutor().prepareFunction({
    fn: ({ x, ...params }) => ({ logits: vit.logits(params, x!) }),
    specs: { x: [batchSize, ...shape] },
    constants: vit.initHost(key(0)),
  });
  const classifier: Classifier = {
    ...{ input: "array", fixedBatchSize: batchSize, numClasses: 10 },
    predict: async (x: Float32Array) => (await prepared({ x })).logits!,
  };
  const image = (i: number) => uniform(key(i), new Float32Array(side * side));
  const dataset: ImageDataset = {
    ...{ name: "noise", length: images, imageShape: [side, side, 1], numClasses: 10 },
    get: (i) => ({ image: image(i), label: 0 }),
  };
  const certifier = await createCertifier(classifier, { ...base, shape, maxSamples: n });
  const http = await server(certifier);
  const ways = [
    async () => (await certifyDataset(classifier, dataset, { ...base, n }).toArray()).length,
    () => together((i) => certifier.certify(image(i))),
    () => together((i) => http.post(image(i))),
  ];
  const seconds = await inTurns(ways);
  http.close();
  await certifier.close();
  prepared.dispose();
  print(seconds);
}

async function together(certify: (i: number) => Promise<unknown>): Promise<number> {
  return (await Promise.all(Array.from({ length: images }, (_, i) => certify(i)))).length;
}

/** Seconds of each way in each turn; the first turn warms up and does not count, the order alternates. */
async function inTurns(ways: readonly (() => Promise<number>)[]): Promise<number[][]> {
  const times = ways.map((): number[] => []);
  for (let turn = 0; turn <= turns; turn++) {
    const order = [...ways.keys()];
    if (turn % 2 === 1) order.reverse();
    for (const i of order) {
      const start = performance.now();
      const done = await ways[i]!();
      if (done !== images) throw new Error(`${done} of ${images} images were certified`);
      if (turn > 0) times[i]!.push((performance.now() - start) / 1000);
    }
  }
  return times;
}

function print([run, ...others]: readonly number[][]): void {
  const names = ["100 requests at once", "100 requests at once, over HTTP"];
  const rate = (seconds: number) => Math.round((images * (n0 + n)) / seconds);
  console.log("| | noisy images/s, median | share of the run, median | least and most |");
  console.log("|---|---|---|---|");
  console.log(`| one run over the data set | ${rate(median(run!))} | | |`);
  for (const [i, seconds] of others.entries()) {
    const shares = seconds.map((s, turn) => run![turn]! / s);
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    const range = `${percent(Math.min(...shares))}, ${percent(Math.max(...shares))}`;
    console.log(
      `| ${names[i]} | ${rate(median(seconds))} | ${percent(median(shares))} | ${range} |`,
    );
  }
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** A server, and a client that keeps its connections. */
async function server(certifier: Certifier) {
  const listening = createServer(async (incoming, response) => {
    const { radius, samples } = await certifier.certify(JSON.parse(await text(incoming)));
    response.end(JSON.stringify({ radius, samples }));
  }).listen(0, "127.0.0.1");
  Object.assign(listening, { keepAliveTimeout: 0, requestTimeout: 0 }); // the other ways' turns take long
  await once(listening, "listening");
  const { port } = listening.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  const post = async (image: Float32Array) => {
    const sent = request({ port, agent, method: "POST", host: "127.0.0.1" });
    sent.end(JSON.stringify(Array.from(image)));
    const [response] = await once(sent, "response");
    return JSON.parse(await text(response));
  };
  const close = () => {
    agent.destroy();
    listening.close();
  };
  return { post, close };
}

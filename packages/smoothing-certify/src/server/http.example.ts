import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { type Certifier, createCertifier } from "@dmae/smoothing-certify";

/** POST an image as a JSON array; the answer is the best certificate within the deadline, or 503 when it is busy. */
export const serve = (certifier: Certifier) =>
  createServer(async (request, response) => {
    const answer = (status: number, body: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    try {
      const image = JSON.parse(await text(request));
      const { prediction, radius, samples } = await certifier.certify(image, { deadline: 2000 });
      answer(200, { prediction, radius, samples });
    } catch (error) {
      const { details, message } = error as { details?: { busy?: boolean }; message: string };
      answer(details?.busy ? 503 : 400, { error: message });
    }
  });

// Any classifier: n images in (here of two pixels), n class ids or n rows of logits out.
const classify = (images: Float32Array, [n]: number[]) =>
  Array.from({ length: n! }, (_, i) => (images[2 * i]! > images[2 * i + 1]! ? 1 : 0));

export const certifier = await createCertifier(classify, {
  sigma: 0.25,
  shape: [2],
  numClasses: 2,
  maxSamples: 1000,
});
export const server = serve(certifier).listen(0, "127.0.0.1");

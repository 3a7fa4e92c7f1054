import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { certifier, serve, server } from "./http.example.ts";

afterAll(() => server.close());

const addressOf = ({ address, port }: AddressInfo) => `http://${address}:${port}`;
async function post(to: string, body: string) {
  const response = await fetch(to, { method: "POST", body });
  return { status: response.status, answer: (await response.json()) as Record<string, number> };
}

describe("the HTTP example under load", () => {
  it("answers 100 requests at a time, each about its own image", async () => {
    if (!server.listening) await once(server, "listening");
    const to = addressOf(server.address() as AddressInfo);
    // the smoothed classifier is the classifier itself: the exact radius is the distance to the diagonal
    const pairs = Array.from({ length: 100 }, (_, i) =>
      i % 2 ? [0.9, 0.9 - i / 120] : [0.9 - i / 120, 0.9],
    );
    const found = await Promise.all(pairs.map((pair) => post(to, JSON.stringify(pair))));
    const exact = pairs.map(([a, b]) => Math.abs(a! - b!) / Math.SQRT2);
    found.forEach(({ status, answer }, i) => {
      expect(status).toBe(200);
      if (exact[i]! > 0.1) expect([i % 2, -1]).toContain(answer.prediction);
      expect(answer.radius).toBeLessThan(exact[i]! + 0.1); // another image's may be 0.7
      expect(answer.samples).toBeLessThanOrEqual(1100); // fewer where the deadline comes first
    });
    // each call draws anew and is too large with probability 0.001: three of a hundred in one of 6,500 runs
    const tooLarge = found.filter(({ answer }, i) => answer.radius! > exact[i]!);
    expect(tooLarge.length).toBeLessThan(3);
    expect(found.filter(({ answer }) => answer.radius! > 0).length).toBeGreaterThan(30);
    expect(certifier.pending).toBe(0);
  });

  it("says 503 when it is busy, and 400 for what is no image", async () => {
    const to = addressOf(server.address() as AddressInfo);
    expect((await post(to, "[0.5]")).status).toBe(400);
    expect((await post(to, "{")).status).toBe(400);
    const busy = Object.assign(new Error("busy"), { details: { busy: true } });
    const full = serve({ certify: () => Promise.reject(busy) } as never).listen(0, "127.0.0.1");
    await once(full, "listening");
    const { status, answer } = await post(addressOf(full.address() as AddressInfo), "[0, 1]");
    expect([status, answer.error]).toEqual([503, "busy"]);
    full.close();
  });
});

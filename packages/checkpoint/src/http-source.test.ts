import { afterEach, describe, expect, test } from "vitest";
import { sendFile, startServer, type TestServer } from "../../../testing/http-server.ts";
import { encodeSafetensors, loadCheckpoint } from "./index.ts";

const tensors = {
  large: { dtype: "float32", shape: [1 << 16], data: new Float32Array(1 << 16).fill(2) },
  small: { dtype: "float32", shape: [2], data: new Float32Array([3, 4]) },
} as const;
const file = encodeSafetensors(tensors, { seed: "1" });

let server: TestServer;
afterEach(() => server.close());

describe("loadCheckpoint from an address", () => {
  test("reads by range only what is asked for", async () => {
    server = await startServer((request, response, state) =>
      sendFile(request, response, state, file, { etag: '"1"' }),
    );
    const checkpoint = await loadCheckpoint(`${server.url}model.safetensors`);
    expect(checkpoint.metadata).toEqual({ seed: "1" });
    expect([...(await checkpoint.read("small")).data]).toEqual([3, 4]);
    expect(server.bytesSent).toBeLessThan(2000); // of 256 KiB
    const all = await checkpoint.readAll();
    expect(all).toEqual(tensors);
    await checkpoint.close();
  });

  test("a server without ranges is read whole, up to a cap", async () => {
    server = await startServer((request, response, state) =>
      sendFile(request, response, state, file, { whole: true }),
    );
    const checkpoint = await loadCheckpoint(new URL(server.url));
    expect(await checkpoint.readAll()).toEqual(tensors);
    expect(server.requests).toHaveLength(1);
    await expect(loadCheckpoint(server.url, { maxWholeBytes: 1000 })).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/does not answer range requests.*maxWholeBytes = 1000/),
    });
  });

  test("a file that changes meanwhile is noticed", async () => {
    let etag = '"1"';
    server = await startServer((request, response, state) =>
      sendFile(request, response, state, file, { etag }),
    );
    const checkpoint = await loadCheckpoint(server.url);
    etag = '"2"';
    await expect(checkpoint.read("small")).rejects.toMatchObject({
      code: "file",
      message: expect.stringMatching(/answered 200 without a range; the file changed meanwhile/),
    });
  });

  test("a connection that breaks off is tried again, not for ever", async () => {
    let cuts = 0;
    server = await startServer((request, response, state) =>
      sendFile(request, response, state, file, {
        etag: '"1"',
        ...(cuts-- > 0 ? { cutAfter: 1000 } : {}),
      }),
    );
    const checkpoint = await loadCheckpoint(server.url);
    cuts = 2;
    expect((await checkpoint.read("large")).data).toEqual(tensors.large.data);
    cuts = 3;
    await expect(checkpoint.read("large")).rejects.toThrow(/broke off/);
  });

  test("a refusal and a server that is not there", async () => {
    server = await startServer((_, response) => response.writeHead(404).end());
    await expect(loadCheckpoint(server.url)).rejects.toThrow(/answered 404/);
    const gone = server.url;
    await server.close();
    await expect(loadCheckpoint(gone)).rejects.toThrow(/cannot reach/);
  });
});

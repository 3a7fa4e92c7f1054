// Test helper: a local server whose behaviour a test decides. No part of the package.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** What the server did, for a test to look at. */
export interface TestServer {
  readonly url: string;
  readonly requests: { method: string; url: string; range: string | undefined }[];
  bytesSent: number;
  close(): Promise<void>;
}

/** Serves with `handle` until it is closed; connections that are still open are cut then. */
export async function startServer(
  handle: (request: IncomingMessage, response: ServerResponse, server: TestServer) => void,
  connect?: (request: IncomingMessage, socket: Socket, head: Buffer) => void,
): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    state.requests.push({ method, url, range: headers.range });
    handle(request, response, state);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  if (connect) server.on("connect", connect);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const state: TestServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests: [],
    bytesSent: 0,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return state;
}

/** Options of {@link sendFile}. */
export interface SendOptions {
  /** Ignore range requests. */
  whole?: boolean;
  etag?: string | undefined;
  /** Cut the connection after this many bytes of the body. */
  cutAfter?: number;
}

/** Answers with `body`, or the range of it that the request asks for. */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  server: TestServer,
  body: Uint8Array,
  { whole = false, etag, cutAfter = Number.POSITIVE_INFINITY }: SendOptions = {},
): void {
  const { range, "if-range": ifRange } = request.headers;
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const partial = !whole && from !== undefined && (ifRange === undefined || ifRange === etag);
  const start = partial ? Number(from) : 0;
  const end = partial && to ? Math.min(Number(to) + 1, body.length) : body.length;
  const headers: Record<string, string | number> = etag === undefined ? {} : { etag };
  if (partial && start >= body.length) {
    response.writeHead(416, { ...headers, "content-range": `bytes */${body.length}` }).end();
    return;
  }
  if (partial) headers["content-range"] = `bytes ${start}-${end - 1}/${body.length}`;
  headers["content-length"] = end - start;
  response.writeHead(partial ? 206 : 200, headers);
  const sent = body.subarray(start, Math.min(end, start + cutAfter));
  server.bytesSent += sent.length;
  response.write(sent, () => {
    if (sent.length === end - start) response.end();
    else setTimeout(() => response.destroy(), 200); // time for the client to take what was sent, under load too
  });
}

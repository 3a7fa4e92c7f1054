import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, extname, join } from "node:path";

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};
const page =
  '<!doctype html><title>checks</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>\n';

/** Serves the files of some folders under their names, isolated as threads and shared memory require. */
export async function serve(folders: readonly string[]) {
  const server = createServer((request, response) => {
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    const name = basename(new URL(request.url ?? "/", "http://local").pathname);
    const type = name === "" ? "text/html" : types[extname(name)];
    response.setHeader("Content-Type", type ?? "application/octet-stream");
    if (name === "") return response.end(page);
    const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (file) return createReadStream(file).pipe(response);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}/`, close: () => server.close() };
}

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import fs, { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sendFile, startServer, type TestServer } from "../../../testing/http-server.ts";
import { downloadArchive } from "./download-archive.ts";
import { cacheFolder, download, downloadCheckpoint, publishedCheckpoints } from "./downloads.ts";

const body = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919) >> 3);
const sha256 = createHash("sha256").update(body).digest("hex");
const md5 = createHash("md5").update(body).digest("hex");

let folder: string;
let to: string;
let server: TestServer | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "download-"));
  to = join(folder, "file.bin");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

/** A server that cuts the connection after each of `cuts`, and then no more. */
const cutting = async (cuts: number[], options: { etag?: string; whole?: boolean } = {}) => {
  server = await startServer((request, response, state) => {
    const cutAfter = cuts.shift();
    sendFile(request, response, state, body, {
      etag: '"1"',
      ...options,
      ...(cutAfter === undefined ? {} : { cutAfter }),
    });
  });
  return server;
};

describe("download", () => {
  test("goes on after every cut, by range, and verifies", async () => {
    const { url, requests } = await cutting([30_000, 10, 40_000]);
    const seen: number[] = [];
    const path = await download(url, {
      to,
      sha256,
      size: body.length,
      onProgress: ({ received, total }) => {
        expect(total).toBe(body.length);
        seen.push(received);
      },
    });
    expect(path).toBe(to);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
    expect(await readdir(folder)).toEqual(["file.bin"]);
    expect(requests).toHaveLength(4);
    const starts = requests.map(({ range }) => Number(/\d+/.exec(range ?? "0")![0]));
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(starts[3]).toBeGreaterThan(30_000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(body.length);
  });

  test("goes on in another run where an earlier one was stopped", async () => {
    const { url, requests } = await cutting([60_000]);
    const stop = new AbortController();
    const onProgress = ({ received }: { received: number }) => {
      if (received > 20_000) stop.abort(new Error("enough"));
    };
    const first = download(url, { to, md5, signal: stop.signal, onProgress });
    await expect(first).rejects.toThrow("enough");
    const { size } = await stat(`${to}.part`);
    expect(size).toBeGreaterThan(20_000);
    await download(url, { to, md5 });
    expect(requests.at(-1)!.range).toBe(`bytes=${size}-`);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test("resume: false starts over", async () => {
    const { url, requests } = await cutting([]);
    await writeFile(`${to}.part`, body.subarray(0, 500));
    await writeFile(`${to}.part.json`, JSON.stringify({ url, version: '"1"' }));
    await download(url, { to, resume: false });
    expect(requests.map(({ range }) => range)).toEqual([undefined]);
  });

  test.each([
    ["of another address", { url: "http://elsewhere/", version: '"1"' }, undefined],
    ["of another version", { version: '"0"' }, "bytes=500-"],
    ["without a version or a digest", { version: null }, undefined],
  ])("a partial file %s is not used", async (_, origin, range) => {
    const { url, requests } = await cutting([]);
    await writeFile(`${to}.part`, new Uint8Array(500).fill(9));
    await writeFile(`${to}.part.json`, JSON.stringify({ url, ...origin }));
    await download(url, { to });
    expect(requests[0]!.range).toBe(range);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test.each([
    ["before the old bytes are removed", "open", `.part`],
    ["before the new version is noted", "writeFile", `.part.json`],
  ] as const)("a kill %s mixes no versions", async (_, step, suffix) => {
    const { url } = await cutting([]); // serves version "1"
    await writeFile(`${to}.part`, new Uint8Array(400).fill(9));
    await writeFile(`${to}.part.json`, JSON.stringify({ url, version: '"0"' }));
    const { [step]: real } = fs;
    const spy = vi.spyOn(fs, step).mockImplementation((async (file: string, ...rest: never[]) => {
      if (file === `${to}${suffix}`) throw new Error("killed");
      return (real as (...all: unknown[]) => unknown)(file, ...rest);
    }) as never);
    syncBuiltinESMExports();
    try {
      await expect(download(url, { to, size: body.length })).rejects.toThrow("killed");
    } finally {
      spy.mockRestore();
      syncBuiltinESMExports();
    }
    await download(url, { to, size: body.length });
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test("the note of a partial file keeps the version that its first bytes had", async () => {
    const { url } = await cutting([]); // has a version by now
    await writeFile(`${to}.part`, new Uint8Array(400).fill(9));
    await writeFile(`${to}.part.json`, JSON.stringify({ url, version: null }));
    const stop = new AbortController();
    const onProgress = ({ received }: { received: number }) => {
      if (received > 400) stop.abort(new Error("enough"));
    };
    const first = download(url, { to, sha256, signal: stop.signal, onProgress });
    await expect(first).rejects.toThrow("enough");
    await download(url, { to, size: body.length });
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test("a partial file that is complete already only needs verifying", async () => {
    const { url, bytesSent } = await cutting([]);
    await writeFile(`${to}.part`, body);
    await writeFile(`${to}.part.json`, JSON.stringify({ url, version: '"1"' }));
    await download(url, { to, sha256 });
    expect(bytesSent).toBe(0);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test("two at once: one downloads, the other waits for it", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    server = await startServer(async (request, response, state) => {
      await held;
      sendFile(request, response, state, body, { etag: '"1"' });
    });
    const { url, requests } = server;
    const first = download(url, { to, sha256 });
    await vi.waitFor(() => expect(requests).toHaveLength(1));
    await writeFile(`${to}.part`, body.subarray(0, 700));
    const seen: unknown[] = [];
    const second = download(url, { to, sha256, onProgress: (now) => seen.push(now) });
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(0));
    expect(seen[0]).toEqual({ received: 700, total: undefined });
    release();
    expect(await Promise.all([first, second])).toEqual([to, to]);
    expect(requests).toHaveLength(1);
    expect(await readdir(folder)).toEqual(["file.bin"]);
  });

  test("processes that want one file write it once, however the connection fares", async () => {
    const { url, requests } = await cutting([20_000, 30_000]);
    const main = fileURLToPath(new URL("download-main.ts", import.meta.url));
    const tsx = createRequire(import.meta.url).resolve("tsx/cli");
    const run = promisify(execFile);
    const children = Array.from({ length: 3 }, () =>
      run(process.execPath, [tsx, main, url, to, sha256]),
    );
    for (const { stdout } of await Promise.all(children)) expect(stdout).toBe(to);
    expect(requests).toHaveLength(3);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
    expect(await readdir(folder)).toEqual(["file.bin"]);
  }, 60_000);

  test("a server without ranges and versions is asked from the start", async () => {
    const { url, requests } = await cutting([50_000], { whole: true });
    await download(url, { to, sha256 });
    expect(requests).toHaveLength(2);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test("a file that is there and right is not downloaded; a wrong one is", async () => {
    const { url, requests } = await cutting([]);
    await writeFile(to, body);
    expect(await download(url, { to, sha256 })).toBe(to);
    expect(requests).toHaveLength(0);
    await writeFile(to, "damaged");
    await download(url, { to, sha256 });
    expect(requests).toHaveLength(1);
    expect(Buffer.compare(await readFile(to), body)).toBe(0);
  });

  test("a page or a pointer in place of the file fails without facts too, unless a page is wanted", async () => {
    let text = "<!DOCTYPE html><html>sign in</html>";
    server = await startServer((_, response) => void response.end(text));
    await expect(download(server.url, { to })).rejects.toThrow(/the server sent a web page/);
    const page = join(folder, "page.html");
    expect(await download(server.url, { to: page })).toBe(page);
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    await expect(download(server.url, { to })).rejects.toThrow(/Git LFS pointer.*git lfs pull/);
    expect(await readdir(folder)).toEqual(["page.html"]);
  });

  test("a file that is announced too long is not fetched, nor one over a link out of https", async () => {
    const fetch = async () =>
      new Response(body, { headers: { "content-length": String(body.length) } });
    const short = download("https://example.org/x", { to, size: 10, fetch });
    await expect(short).rejects.toThrow(/must have 10 bytes, got 100000 announced/);
    const moved = async () =>
      Object.defineProperties(new Response(body), {
        url: { value: "http://example.org/x" },
        redirected: { value: true },
      });
    const plain = download("https://example.org/x", { to, fetch: moved });
    await expect(plain).rejects.toThrow(/redirects to http:.*not https/);
  });

  test("a file of unknown size ends at maxBytes, announced or not, and leaves nothing", async () => {
    const announced = await startServer((request, response, state) =>
      sendFile(request, response, state, body),
    );
    server = announced;
    await expect(download(announced.url, { to, maxBytes: 99_999 })).rejects.toThrow(
      /may have 99999 bytes at most \(maxBytes\), got 100000 announced/,
    );
    const endless: typeof globalThis.fetch = async () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1000)) }),
      );
    await expect(
      download("https://example.org/x", { to, maxBytes: 10_500, fetch: endless }),
    ).rejects.toThrow(/may have 10500 bytes at most \(maxBytes\), got more/);
    expect(await readdir(folder)).toEqual([]);
    expect(await download(announced.url, { to, maxBytes: 100_000 })).toBe(to);
    await expect(download(announced.url, { to, maxBytes: 0 })).rejects.toThrow("got 0");
  });

  test("a wrong digest, a wrong size and a web page fail and leave nothing", async () => {
    const { url } = await cutting([]);
    const other = "0".repeat(64);
    await expect(download(url, { to, sha256: other })).rejects.toMatchObject({
      code: "file",
      message: `download: ${url} is not the expected file: its sha256 must be ${other}, got ${sha256}`,
    });
    await expect(download(url, { to, size: 10 })).rejects.toThrow(/must have 10 bytes, got \d+/);
    expect(await readdir(folder)).toEqual([]);
    await server!.close();
    server = await startServer((_, response) => response.end("<!DOCTYPE html><title>Sign in"));
    await expect(download(server.url, { to, md5 })).rejects.toThrow(/the server sent a web page/);
  });

  test("a connection that always fails, and answers that are final", async () => {
    const { url, requests } = await cutting([0, 0, 0, 0]);
    await expect(download(url, { to, attempts: 2 })).rejects.toThrow(/broke off/);
    expect(requests).toHaveLength(2);
    await server!.close();
    await expect(download(url, { to, attempts: 1 })).rejects.toThrow(/cannot connect/);
    let count = 0;
    const codes = [503, 404];
    server = await startServer((_, response) => response.writeHead(codes[count++]!).end());
    await expect(download(server.url, { to })).rejects.toThrow(/the server answered 404/);
    expect(count).toBe(2);
  });

  test("a server that restarts from zero and always cuts does not go on for ever", async () => {
    const { url, requests } = await cutting(Array(20).fill(1000), { whole: true });
    await expect(download(url, { to, attempts: 3 })).rejects.toThrow(/broke off/);
    expect(requests.length).toBeLessThan(6);
  });

  test("bad options", async () => {
    await expect(download("http://x/y", { sha256: "abc" })).rejects.toMatchObject({
      code: "argument",
    });
    await expect(download("http://x/y", { md5: "12345" })).rejects.toThrow(/6 to 32 hexadecimal/);
    vi.stubEnv("DMAE_CACHE", folder);
    await expect(download("http://x/")).rejects.toThrow(/does not end in a file name/);
    await expect(download("http://x/..%2Fy")).rejects.toThrow(/does not end in a file name/);
  });

  test("goes through the proxy that the environment names", async () => {
    const { url } = await cutting([]);
    const tunnels: string[] = [];
    const proxy = await startServer(
      (request, response) => {
        tunnels.push(request.url ?? "");
        response.writeHead(500).end();
      },
      (request, socket) => {
        tunnels.push(request.url ?? "");
        const upstream = connect(Number(new URL(url).port), "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
          upstream.pipe(socket).pipe(upstream);
        });
        socket.on("error", () => upstream.destroy());
        upstream.on("error", () => socket.destroy());
      },
    );
    for (const name of ["HTTPS_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy"])
      vi.stubEnv(name, undefined);
    vi.stubEnv("HTTP_PROXY", proxy.url);
    await download("http://far.example/file.bin", { to, sha256 });
    expect(tunnels).toEqual(["far.example:80"]);
    vi.stubEnv("NO_PROXY", "127.0.0.1");
    await download(url, { to: `${to}2`, sha256 });
    expect(tunnels).toHaveLength(1);
    await proxy.close();
  });
});

describe("cacheFolder", () => {
  test("follows DMAE_CACHE, then XDG_CACHE_HOME", async () => {
    vi.stubEnv("XDG_CACHE_HOME", "/xdg");
    vi.stubEnv("DMAE_CACHE", "/own");
    expect(await cacheFolder()).toBe("/own");
    vi.stubEnv("DMAE_CACHE", "");
    expect(await cacheFolder()).toBe("/xdg/dmae");
  });
});

describe("downloadCheckpoint", () => {
  test("says where to get what needs a browser, and where to put it", async () => {
    vi.stubEnv("DMAE_CACHE", folder);
    const path = join(folder, "dmae_base.pth");
    await expect(downloadCheckpoint("dmae_base")).rejects.toMatchObject({
      code: "unsupported",
      message: `downloadCheckpoint: DMAE ViT-Base, pre-trained for 1100 epochs on ImageNet-1K (427 MB) lies behind a page that needs a browser: open ${publishedCheckpoints.dmae_base.url}, save the file as ${path}, then try again`,
    });
    await writeFile(path, "weights");
    expect(await downloadCheckpoint("dmae_base")).toBe(path);
  });

  test("checks the published digits of the MD5", async () => {
    const { url } = await cutting([]);
    const asked: string[] = [];
    const fetch = (address: string, init: RequestInit) => {
      asked.push(address);
      return globalThis.fetch(url, init);
    };
    await expect(downloadCheckpoint("mae_pretrain_vit_base", { to, fetch })).rejects.toThrow(
      `its md5 must be 8cad7c, got ${md5}`,
    );
    expect(asked).toEqual([
      "https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_base.pth",
    ]);
    await expect(downloadCheckpoint("toString" as "dmae_base")).rejects.toThrow(/known are mae_/);
  });
});

describe("downloading an archive", () => {
  /** A tar entry: a header of 512 bytes and the data, padded. */
  const entry = (name: string, data: Uint8Array, type = "0", link = "") => {
    const header = Buffer.alloc(512);
    const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
    header.write(name, 0);
    header.write(octal(0o644, 7) + octal(0, 7) + octal(0, 7), 100);
    header.write(octal(data.length, 11) + octal(0, 11), 124);
    header.write(`        ${type}${link}`, 148);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
  };
  const facts = (archive: Uint8Array) => ({
    url: server!.url,
    md5: createHash("md5").update(archive).digest("hex"),
    size: archive.length,
    folder: "set-bin",
    files: { "a.bin": 3, "b.bin": 600 },
    texts: ["names.txt", "long.txt"],
  });
  const serve = async (archive: Uint8Array) => {
    server = await startServer((request, response, state) =>
      sendFile(request, response, state, archive, {
        etag: '"1"',
        ...(state.requests.length === 1 ? { cutAfter: 200 } : {}),
      }),
    );
  };
  const a = Uint8Array.of(1, 2, 3);
  const b = new Uint8Array(600).fill(7);

  test("unpacks the known files and no others, once", async () => {
    const archive = gzipSync(
      Buffer.concat([
        entry("set-bin/", new Uint8Array(0), "5"),
        entry("set-bin/a.bin", a),
        entry("../outside", a),
        entry("set-bin/link", new Uint8Array(0), "2", "/etc/passwd"),
        entry("set-bin/readme.html", a),
        entry("set-bin/names.txt", a),
        entry("set-bin/long.txt", new Uint8Array(70_000)),
        entry("set-bin/b.bin", b),
        Buffer.alloc(1024),
      ]),
    );
    await serve(archive);
    const path = await downloadArchive("downloadSet", facts(archive), { to: folder });
    expect(path).toBe(join(folder, "set-bin"));
    expect((await readdir(path)).sort()).toEqual(["a.bin", "b.bin", "names.txt"]);
    expect([...(await readFile(join(path, "a.bin")))]).toEqual([1, 2, 3]);
    expect(await readdir(folder)).toEqual(["set-bin"]);
    const { requests } = server!;
    const before = requests.length;
    expect(await downloadArchive("downloadSet", facts(archive), { to: folder })).toBe(path);
    expect(requests).toHaveLength(before);
  });

  test("an archive that lacks a file, or has one of another size", async () => {
    const archive = gzipSync(
      Buffer.concat([entry("set-bin/a.bin", a), entry("set-bin/b.bin", a), Buffer.alloc(1024)]),
    );
    await serve(archive);
    await expect(
      downloadArchive("downloadSet", facts(archive), { to: folder }),
    ).rejects.toMatchObject({
      code: "file",
      message: "downloadSet: the archive lacks b.bin",
    });
  });
});

import type { PixelImage } from "./pixels.ts";
import { code } from "./resize.wasm.ts";
import { computeTaps, type Taps } from "./resize-taps.ts";

interface Exports {
  memory: WebAssembly.Memory;
  columns(
    source: number,
    target: number,
    end: number,
    starts: number,
    counts: number,
    weights: number,
    stride: number,
  ): void;
  rows(
    source: number,
    target: number,
    end: number,
    weights: number,
    last: number,
    line: number,
  ): void;
}

/** Memory beyond which plain JavaScript does the work: the module's memory never shrinks. */
const maxBytes = 2 ** 25;
/** Bytes that vector loads and stores may touch beyond the end. */
const margin = 16;

let exports: Exports | undefined | null;

/** The module's functions; null where WebAssembly or its vector instructions are missing or forbidden. */
function instance(): Exports | null {
  if (exports !== undefined) return exports;
  try {
    const bytes = Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0));
    const module = new WebAssembly.Module(bytes);
    exports = new WebAssembly.Instance(module).exports as unknown as Exports;
  } catch {
    exports = null; // not an error: the other way gives the same bytes
  }
  return exports;
}

/** Both passes with vector instructions: colour images; undefined for what is left to plain JavaScript. */
export function resizeInWasm(
  image: PixelImage,
  height: number,
  width: number,
  givenAcross?: Taps,
  givenDown?: Taps,
): PixelImage | undefined {
  const wasm = image.channels === 3 ? instance() : null;
  if (!wasm) return undefined;
  const across = givenAcross ?? computeTaps(image.width, width);
  const down = givenDown ?? computeTaps(image.height, height);
  const place = layout(image, height, width, across, down);
  if (place.end > maxBytes) return undefined;
  const missing = place.end - wasm.memory.buffer.byteLength;
  if (missing > 0) wasm.memory.grow(Math.ceil(missing / 65536));
  const { buffer } = wasm.memory;
  writeTaps(buffer, place.across, across, 3);
  writeTaps(buffer, place.down, down, 3 * width);
  const bytes = new Uint8Array(buffer);
  bytes.set(image.data, place.source);
  runColumns(wasm, image, width, across, place);
  runRows(wasm, height, width, down, place);
  const data = bytes.slice(place.result, place.result + 3 * height * width);
  return { data, height, width, channels: 3 };
}

/** Where everything lies in the module's memory. */
interface Layout {
  readonly across: number;
  readonly down: number;
  readonly source: number;
  readonly between: number;
  readonly result: number;
  readonly end: number;
}

function layout(
  image: PixelImage,
  height: number,
  width: number,
  across: Taps,
  down: Taps,
): Layout {
  const tableBytes = ({ weights, starts }: Taps) => 4 * (weights.length + 2 * starts.length);
  const after = (place: number, bytes: number) => 16 * Math.ceil((place + bytes + margin) / 16);
  const second = after(0, tableBytes(across));
  const source = after(second, tableBytes(down));
  const between = after(source, image.data.length);
  const result = after(between, 3 * image.height * width);
  const end = after(result, 3 * height * width);
  return { across: 0, down: second, source, between, result, end };
}

/** Starts as byte offsets, counts as bytes of weights, then the weights. */
function writeTaps(buffer: ArrayBuffer, place: number, taps: Taps, bytesPerInput: number): void {
  const { starts, counts, weights } = taps;
  const table = new Int32Array(buffer, place, 2 * starts.length + weights.length);
  for (let i = 0; i < starts.length; i++) {
    table[i] = starts[i]! * bytesPerInput;
    table[starts.length + i] = counts[i]! * 4;
  }
  table.set(weights, 2 * starts.length);
}

function runColumns(
  { columns }: Exports,
  image: PixelImage,
  width: number,
  { starts, size }: Taps,
  { across, source, between }: Layout,
): void {
  const counts = across + 4 * starts.length;
  const weights = counts + 4 * starts.length;
  for (let row = 0; row < image.height; row++) {
    const target = between + 3 * width * row;
    const from = source + 3 * image.width * row;
    columns(from, target, target + 3 * width, across, counts, weights, 4 * size);
  }
}

function runRows(
  { rows, memory }: Exports,
  height: number,
  width: number,
  { size }: Taps,
  { down, between, result }: Layout,
): void {
  const line = 3 * width;
  const table = new Int32Array(memory.buffer, down, 2 * height);
  for (let row = 0; row < height; row++) {
    const weights = down + 4 * (2 * height + row * size);
    const target = result + line * row;
    const last = weights + table[height + row]!;
    rows(between + table[row]!, target, target + line, weights, last, line);
  }
}

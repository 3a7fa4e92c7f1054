import type { HostTensors } from "@dmae/core";

/** 64 bits of FNV-1a over names and values, in two lanes, as 16 hexadecimal digits. */
export function checksum(tensors: HostTensors): string {
  let [low, high] = [0x811c9dc5, 0x9e3779b9];
  const add = (word: number) => {
    low = Math.imul(low ^ word, 0x01000193);
    high = Math.imul(high ^ (word + 0x85ebca6b), 0x01000193) ^ (high >>> 15);
  };
  for (const [name, { data }] of Object.entries(tensors)) {
    for (let i = 0; i < name.length; i++) add(name.charCodeAt(i));
    const { buffer, byteOffset, byteLength } = data;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const words = byteLength >> 2;
    const whole = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, words) : undefined;
    if (whole) for (let i = 0; i < words; i++) add(whole[i]!);
    for (let i = whole ? 4 * words : 0; i < byteLength; i++) add(bytes[i]!);
  }
  const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
  return hex(high) + hex(low);
}

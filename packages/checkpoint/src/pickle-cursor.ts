import { decodeUtf8 } from "./json.ts";
import type { Fail } from "./pickle-globals.ts";

/** Longest line of text, which names a module or a class. */
const maxLine = 1000;

/** Reads a pickle from front to back and never beyond its end. @internal */
export class PickleCursor {
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly fail: Fail,
    /** Where the next byte is read. */
    public position = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves on by `length` bytes and gives where they start. */
  skip(length: number): number {
    const start = this.position;
    if (length > this.bytes.length - start) this.fail("it ends in the middle", { isCut: true });
    this.position = start + length;
    return start;
  }

  uint8(): number {
    return this.bytes[this.skip(1)]!;
  }

  uint16(): number {
    return this.view.getUint16(this.skip(2), true);
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  int32(): number {
    return this.view.getInt32(this.skip(4), true);
  }

  float64(): number {
    return this.view.getFloat64(this.skip(8), false);
  }

  /** A length of 8 bytes. */
  length64(): number {
    const length = this.view.getBigUint64(this.skip(8), true);
    return length > 0xffffffffn ? this.fail("it announces more bytes than it has") : Number(length);
  }

  /** A copy of `length` bytes. */
  take(length: number): Uint8Array {
    const start = this.skip(length);
    return this.bytes.slice(start, start + length);
  }

  text(length: number): string {
    const start = this.skip(length);
    const text = decodeUtf8(this.bytes.subarray(start, start + length));
    return text ?? this.fail("it holds text that is not UTF-8");
  }

  /** Text up to the next line feed. */
  line(): string {
    const end = this.bytes.subarray(0, this.position + maxLine).indexOf(10, this.position);
    if (end < 0) {
      this.skip(maxLine);
      this.fail("it names something without an end");
    }
    const line = this.text(end - this.position);
    this.skip(1);
    return line;
  }

  /** A whole number in two's complement; a bigint where a number would round it. */
  integer(length: number): number | bigint {
    if (length > 256) this.fail(`it holds a whole number of ${length} bytes`);
    const digits = Array.from(this.take(length), (byte) => byte.toString(16).padStart(2, "0"));
    const value = BigInt.asIntN(8 * length, BigInt(`0x0${digits.reverse().join("")}`));
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }
}

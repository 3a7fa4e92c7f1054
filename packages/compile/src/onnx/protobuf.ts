const encoder = new TextEncoder();

/**
 * Writes the protocol-buffer wire format (varints, little-endian floats, length-delimited fields).
 * Large byte fields are kept as views and copied once, by {@link ProtobufWriter.finish}.
 */
export class ProtobufWriter {
  private readonly parts: Uint8Array[] = [];
  private small: number[] = [];
  private flushed = 0;

  /** Number of bytes so far. */
  get length(): number {
    return this.flushed + this.small.length;
  }

  /** An integer field; negative ones take ten bytes, as int64 does. */
  integer(field: number, value: number | bigint): this {
    this.varint(field * 8);
    return this.varint(value);
  }

  /** A 32-bit float field. */
  float(field: number, value: number): this {
    this.varint(field * 8 + 5);
    this.small.push(...new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  /** A UTF-8 string field. */
  string(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  /** A bytes field. */
  bytes(field: number, value: Uint8Array): this {
    this.varint(field * 8 + 2).varint(value.length);
    if (value.length < 256) this.small.push(...value);
    else {
      this.flush();
      this.parts.push(value);
      this.flushed += value.length;
    }
    return this;
  }

  /** A packed field of integers. */
  integers(field: number, values: readonly number[]): this {
    const packed = new ProtobufWriter();
    for (const value of values) packed.varint(value);
    return this.message(field, packed);
  }

  /** A message field. */
  message(field: number, message: ProtobufWriter): this {
    return this.varint(field * 8 + 2)
      .varint(message.length)
      .append(message);
  }

  /** The fields of another writer, here. */
  append(other: ProtobufWriter): this {
    this.flush();
    other.flush();
    for (const part of other.parts) this.parts.push(part);
    this.flushed += other.flushed;
    return this;
  }

  /** All bytes. */
  finish(): Uint8Array {
    this.flush();
    const out = new Uint8Array(this.flushed);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  private varint(value: number | bigint): this {
    if (typeof value === "number" && value >= 0 && value < 0x80000000) {
      let rest = value;
      while (rest > 127) {
        this.small.push((rest & 127) | 128);
        rest >>>= 7;
      }
      this.small.push(rest);
      return this;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      this.small.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    this.small.push(Number(rest));
    return this;
  }

  private flush(): void {
    if (this.small.length === 0) return;
    this.parts.push(Uint8Array.from(this.small));
    this.flushed += this.small.length;
    this.small = [];
  }
}

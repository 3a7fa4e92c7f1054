/** Many names in one block of memory: an ImageNet of file names takes 32 MB instead of 100. */
export class NameList {
  /** UTF-8 names, each followed by a zero byte. */
  readonly bytes: Buffer;
  /** Where each name starts, and the end. */
  private readonly starts: Uint32Array;

  private constructor(bytes: Buffer, starts: Uint32Array) {
    this.bytes = bytes;
    this.starts = starts;
  }

  /** From names in groups. */
  static from(groups: readonly (readonly string[])[]): NameList {
    const blocks = groups.map((names) => Buffer.from(names.map((name) => `${name}\0`).join("")));
    return NameList.decode(Buffer.concat(blocks))!;
  }

  /** From the bytes of another list; undefined if they do not end with a zero. */
  static decode(bytes: Buffer): NameList | undefined {
    if (bytes.length > 0 && bytes.at(-1) !== 0) return undefined;
    let count = 0;
    for (let i = bytes.indexOf(0); i >= 0; i = bytes.indexOf(0, i + 1)) count++;
    const starts = new Uint32Array(count + 1);
    for (let i = 1, end = -1; i <= count; i++) {
      end = bytes.indexOf(0, end + 1);
      starts[i] = end + 1;
    }
    return new NameList(bytes, starts);
  }

  /** Number of names. */
  get length(): number {
    return this.starts.length - 1;
  }

  /** Name `index`. */
  at(index: number): string {
    return this.bytes.toString("utf8", this.starts[index], this.starts[index + 1]! - 1);
  }
}

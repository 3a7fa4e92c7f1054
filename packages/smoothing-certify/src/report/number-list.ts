/** Numbers that are added one by one, at eight bytes each. */
export class NumberList {
  length = 0;
  private values = new Float64Array(1024);
  private ascending: Float64Array | undefined;

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
    this.ascending = undefined;
  }

  /** The sum, in the order in which they were added. */
  sum(): number {
    let sum = 0;
    for (let i = 0; i < this.length; i++) sum += this.values[i]!;
    return sum;
  }

  /** In ascending order, without NaN. */
  get sorted(): Float64Array {
    this.ascending ??= this.values
      .subarray(0, this.length)
      .filter((value) => !Number.isNaN(value))
      .sort();
    return this.ascending;
  }
}

/** How many of ascending values are less than `limit`. */
export function countBelow(values: Float64Array, limit: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

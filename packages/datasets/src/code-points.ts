/** Sorts in place by code points, as Python does; JavaScript's own order differs beyond U+D7FF. */
export function sortByCodePoints(names: string[]): string[] {
  return names.some((name) => surrogate.test(name)) ? names.sort(compareCodePoints) : names.sort();
}

/** Negative, zero or positive as `a` comes before, is, or comes after `b` in Python. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const one = a.charCodeAt(i);
    const other = b.charCodeAt(i);
    if (one !== other) return rank(one) - rank(other);
  }
  return a.length - b.length;
}

const surrogate = /[\ud800-\udfff]/;

/** Surrogates, which stand for code points above U+FFFF, come after all other units. */
const rank = (unit: number) => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);

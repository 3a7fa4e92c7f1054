/** Compares a float64 with a decimal string exactly: negative, zero or positive as `x - exact`. */
export function compareExactly(x: number, exact: string): number {
  if (!Number.isFinite(x) || exact.endsWith("Infinity")) {
    const e = Number(exact);
    return x === e ? 0 : x > e ? 1 : -1;
  }
  const [numerator, binary] = binaryFraction(x);
  const [digits, decimal] = decimalFraction(exact);
  // numerator / 2^binary against digits / 10^decimal
  const difference = numerator * 10n ** BigInt(decimal) - digits * 2n ** BigInt(binary);
  return difference > 0n ? 1 : difference < 0n ? -1 : 0;
}

function binaryFraction(x: number): [bigint, number] {
  let shift = 0;
  let value = x;
  while (!Number.isInteger(value)) {
    value *= 2; // exact
    shift++;
  }
  return [BigInt(value), shift];
}

function decimalFraction(text: string): [bigint, number] {
  const [mantissa = "0", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "0", fraction = ""] = mantissa.split(".");
  const digits = BigInt(whole + fraction);
  const decimal = fraction.length - Number(exponent);
  return decimal >= 0 ? [digits, decimal] : [digits * 10n ** BigInt(-decimal), 0];
}

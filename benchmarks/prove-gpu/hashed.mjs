// Numbers that follow from a seed and their position: testing/reference/card_parity.py computes the same ones.

/** `size` numbers in [0, 1), exact in float32. */
export function hashed(seed, size) {
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    let x = (Math.imul(i, 2654435761) + seed * 40503 + 1) >>> 0;
    for (let round = 0; round < 2; round++) x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    values[i] = ((x ^ (x >>> 16)) >>> 8) / 2 ** 24;
  }
  return values;
}

/** Parameters for the shapes of others, in the order of their names: small numbers, and around 1 where a norm multiplies. */
export function hashedParameters(likes) {
  const names = Object.keys(likes).sort();
  return Object.fromEntries(
    names.map((name, seed) => {
      const { dtype, shape } = likes[name];
      const size = shape.reduce((n, d) => n * d, 1);
      const centre = /norm[12]?\.weight$/.test(name) ? 1 : 0;
      const data = hashed(seed, size).map((v) => Math.fround((v - 0.5) * 0.25) + centre);
      return [name, { dtype, shape, data }];
    }),
  );
}

/** The norm of a tensor, and eight of its values. */
export function summary(data) {
  let squares = 0;
  for (const value of data) squares += value * value;
  const values = [Math.sqrt(squares)];
  for (let k = 1; k <= 8; k++) values.push(data[((k * 2654435761) % 2 ** 32) % data.length]);
  return values;
}

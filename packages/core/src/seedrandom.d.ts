declare module "seedrandom/lib/xor4096.js" {
  import type { PRNG } from "seedrandom";
  /** Brent's xorgens; a string seed is hashed into the state. */
  export default function xor4096(seed: string): PRNG;
}

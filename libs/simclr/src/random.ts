// Counter-based random numbers for initial weights: Philox4x32-10 (Salmon et al., SC 2011).

const rounds = 10;
const multiplierA = 0xd2511f53;
const multiplierB = 0xcd9e8d57;
const weylA = 0x9e3779b9;
const weylB = 0xbb67ae85;

/** One block of Philox4x32-10: four 32-bit words from a counter of four words and a key of two. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < rounds; round++) {
    const [highA, lowA] = multiply(multiplierA, c0);
    const [highB, lowB] = multiply(multiplierB, c2);
    [c0, c1, c2, c3] = [(highB ^ c1 ^ k0) >>> 0, lowB, (highA ^ c3 ^ k1) >>> 0, lowA];
    k0 = (k0 + weylA) >>> 0;
    k1 = (k1 + weylB) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** Uniform numbers in (0, 1) with 32 random bits; `seed` up to 2^53 - 1 is the key, `stream` a part of the counter. */
export function createUniformSource(seed: number, stream: number): () => number {
  const key: [number, number] = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  let block: readonly number[] = [];
  let index = 0;
  let counter = 0;
  return () => {
    if (index === block.length) {
      block = philox4x32([counter++, 0, stream, 0], key);
      index = 0;
    }
    return ((block[index++] ?? 0) + 0.5) / 2 ** 32;
  };
}

/** Standard normal numbers by Box and Muller's transform of {@link createUniformSource}. */
export function createNormalSource(seed: number, stream: number): () => number {
  const uniform = createUniformSource(seed, stream);
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** High and low word of the 64-bit product of two 32-bit words. */
function multiply(a: number, b: number): [number, number] {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  const high = aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}
